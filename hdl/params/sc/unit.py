"""What every stochastic-computing unit says of itself: its ports and its latency.

A unit named `X` is three things: `XParams` here (hdl/params/sc), the component `X` in hdl/sc and
the twin `XModel` in sim/golden/sc, each in a file of the same name.

A run is a sequence of enabled cycles t = 0, 1, ... after a clear. The component has the ports of
`ports`, and if `sequential` also `en` (this cycle counts: the state advances at its end) and
`clear` (back to the initial state at the end of this cycle, whatever `en`). What belongs to the
inputs of enabled cycle t stands at the outputs during enabled cycle t + `latency`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ENCODINGS", "Port", "UnitParams", "check_choice", "check_integer"]

#: What the probability p of a one stands for: p itself, or 2 p - 1.
ENCODINGS = ("unipolar", "bipolar")


@dataclass(frozen=True)
class Port:
    """A port of a unit.

    Parameters
    ----------
    name : of the port, in RTL and as argument or result of the twin.
    direction : "in" or "out".
    kind : "bit", one bit a cycle (twin: packed uint64 [..., words]); "word", an integer a cycle
        (twin: int64 [..., length]); "held", an integer that is constant during a run (twin:
        int64 [...]; inputs only).
    bits : width.
    signed : two's complement.
    low, high : least and largest value of an input; None is what the width allows.
    """

    name: str
    direction: str
    kind: str = "bit"
    bits: int = 1
    signed: bool = False
    low: int | None = None
    high: int | None = None

    @property
    def range(self) -> tuple[int, int]:
        """Least and largest value."""
        least = -(1 << (self.bits - 1)) if self.signed else 0
        most = (1 << (self.bits - self.signed)) - 1
        return (
            least if self.low is None else self.low,
            most if self.high is None else self.high,
        )


class UnitParams:
    """Base of the parameters of a unit."""

    #: Enabled cycles from an input to what belongs to it at the output.
    latency: int = 0
    #: Whether the unit has state, and so the ports `en` and `clear`.
    sequential: bool = True

    @property
    def ports(self) -> tuple[Port, ...]:
        """All ports but `en` and `clear`, inputs first."""
        raise NotImplementedError


def check_integer(name: str, value: Any, low: int, high: int) -> None:
    """TypeError if `value` is no integer, ValueError if it lies outside low..high."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, not {value}")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """ValueError if `value` is none of `choices`."""
    if value not in choices:
        listed = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be {listed}, not {value!r}")
