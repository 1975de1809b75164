"""Parameters of the serial link between a board's USB converter and the host port."""

from dataclasses import dataclass

__all__ = ["UartParams"]


@dataclass(frozen=True, kw_only=True)
class UartParams:
    """A serial link that carries words of `word_bits` as whole bytes, lowest byte first.

    8 data bits, no parity, one stop bit. A word whose bytes stop coming for `silence` byte times
    is dropped, so that both ends agree again on where words begin. Words wait in a buffer of
    `depth`; there is no flow control: the sender waits for a MARK before it has more than `depth`
    words unanswered.
    """

    word_bits: int
    clock_hz: int
    baud: int = 1_000_000
    depth: int = 512
    silence: int = 16

    def __post_init__(self) -> None:
        for name in ("word_bits", "clock_hz", "baud", "depth", "silence"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        error = abs(self.clock_hz / self.baud / self.divisor - 1)
        if self.divisor < 4 or error > 0.02:
            raise ValueError(
                f"baud {self.baud} can't be made from {self.clock_hz} Hz within 2 %; "
                "use a lower baud rate"
            )

    @property
    def divisor(self) -> int:
        """Clock cycles per bit."""
        return max(round(self.clock_hz / self.baud), 1)

    @property
    def word_bytes(self) -> int:
        return -(-self.word_bits // 8)
