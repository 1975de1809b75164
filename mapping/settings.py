"""What a user may choose about the quantisation, checked at construction."""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.errors import UserError

__all__ = ["Quantisation", "Width", "weight_width"]

Width = int | str


def weight_width(width: Width) -> tuple[int, bool]:
    """(bits, ternary) of a weight setting: 1..16, "binary" (1 bit) or "ternary" (2 bits)."""
    if width == "ternary":
        return 2, True
    if width == "binary":
        return 1, False
    if isinstance(width, int) and not isinstance(width, bool) and 1 <= width <= 16:
        return width, False
    raise UserError(
        f"weight_bits: must be 1..16, 'ternary' or 'binary', not {width!r}; change the setting"
    )


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """How a Graph becomes integers.

    weight_bits : 1..16, "ternary" (-1, 0, +1) or "binary" (-1, +1; full matrices); or a dict from
        a connection's node name, "source->target" or a layer's name to these, "*" for the others
        (8 where "*" is missing). Weights that need fewer bits exactly are stored in fewer.
    scale : "layer", or "neuron" (one weight scale per spiking neuron).
    decay_bits : fraction bits of decay factors, 8..16.
    decay : "factor", or "shift" (nearest 1 - 2**-k: no multiplier).
    membrane_bits, current_bits : widths; None: the narrowest that hold twice the calibrated range.
    payload_bits : width of graded values between layers and from graded inputs, 2..18.
    fraction_bits : membrane bits below the weight scale, 0..15; None: mapping/formats.py's rule.
    clip : "mse" (scale with the least squared weight error) or "max" (clip no weight).
    graded : whether inputs carry real values; None: they do if the calibration data is not 0/1.
    readout : how a decision is read; None: "count" for spiking outputs, else "last".
    """

    weight_bits: Width | dict[str, Width] = 8
    scale: str = "layer"
    decay_bits: int = 12
    decay: str = "factor"
    membrane_bits: int | None = None
    current_bits: int | None = None
    payload_bits: int = 8
    fraction_bits: int | None = None
    clip: str = "mse"
    graded: bool | None = None
    readout: str | None = None

    def __post_init__(self) -> None:
        widths = self.weight_bits if isinstance(self.weight_bits, dict) else {"": self.weight_bits}
        for width in widths.values():
            weight_width(width)
        for name, low, high, optional in (
            ("decay_bits", 8, 16, False),
            ("membrane_bits", 2, 32, True),
            ("current_bits", 2, 32, True),
            ("payload_bits", 2, 18, False),
            ("fraction_bits", 0, 15, True),
        ):
            value = getattr(self, name)
            if value is None and optional:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise UserError(f"{name}: must be {low}..{high}, not {value!r}; change the setting")
        for name, allowed in (
            ("scale", ("layer", "neuron")),
            ("decay", ("factor", "shift")),
            ("clip", ("mse", "max")),
            ("readout", (None, "count", "last", "max", "mean", "none")),
            ("graded", (None, True, False)),
        ):
            if getattr(self, name) not in allowed:
                raise UserError(
                    f"{name}: must be one of {', '.join(map(str, allowed))}, "
                    f"not {getattr(self, name)!r}; change the setting"
                )

    def width_of(self, source: str, target: str, node: str) -> Width:
        """The weight width of a connection."""
        if not isinstance(self.weight_bits, dict):
            return self.weight_bits
        for key in (node, f"{source}->{target}", target, "*"):
            if key in self.weight_bits:
                return self.weight_bits[key]
        return 8
