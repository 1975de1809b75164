"""What a user may choose about the quantisation, checked at construction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hdl.params.errors import UserError

__all__ = ["BY_LAYER", "Quantisation", "Width", "weight_width"]

Width = int | str
ENGINES = ("event", "stochastic", "crossbar", "ssm")
GENERATORS = ("sobol", "lfsr")
#: Last places, at most, that a margin has.
MOST_MARGIN = 255
#: Settings that name layers.
BY_LAYER = (
    "engine", "stream_length", "generator", "generators", "tolerance", "margin",
    "state_bits", "pole_bits", "delta", "prune",
)  # fmt: skip


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
        (8 where "*" is missing). Weights that need fewer bits exactly are stored in fewer; skip
        connections (a multiple of the identity) have at least 8 unless they are named.
    scale : "layer", or "neuron" (one weight scale per spiking neuron).
    decay_bits : fraction bits of decay factors, 8..16.
    decay : "factor", or "shift" (nearest 1 - 2**-k: no multiplier).
    membrane_bits, current_bits : widths; None: the narrowest that hold twice the calibrated range.
    payload_bits : width of graded values between layers and from graded inputs, 2..18.
    fraction_bits : membrane bits below the weight scale, 0..15; None: mapping/formats.py's rule.
    clip : "mse" (scale with the least squared weight error) or "max" (clip no weight).
    graded : whether inputs carry real values; None: they do if the calibration data is not 0/1.
    readout : how a decision is read; None: the model's own; where it says nothing "count" for
        spiking outputs, else "last".
    engine : how layers sum their weighted input: "event" (exactly, event by event), "stochastic"
        (by bit-streams, hdl/params/sc/dense.py) or "crossbar" (by memristive devices,
        hdl/params/crossbar/dendrites.py; the Program is then completed in codesign/crossbar).
        "ssm": leaky integrators without spikes become state-space layers (mapping/forms.py); others
        are as with "event". State-space layers, gates and attention heads have their own dendrites
        whatever it says. This and the next five: one for all layers, or a dict from the names of
        layers, or of the nodes that feed them, "*" for the others.
    stream_length : bits of a stream, a power of two up to 65536; None: mapping/streams.py's rule.
    generator : of the random numbers, "sobol" (low discrepancy) or "lfsr".
    generators : of them that a layer's inputs are dealt out to, a power of two in 1..16.
    tolerance : early termination: a sum is done when a doubling of its streams changed it by no
        more than this share of the largest product that the streams can express (2**q weight
        units, times the largest value of graded inputs); None: never.
    margin : early termination of spiking layers, 0..255: a sum is done when it is more than this
        many last places of its stream away from the sum at which the neuron just spikes; None:
        never, and no hardware for it.
    first_length : bits that a sum takes at least before a tolerance ends it, a power of two in
        2..65536; half as many before a margin does.
    state_bits : width of each part of a state of state-space layers, 2..18. This, pole_bits and
        delta: one for all layers, or a dict by their names, "*" for the others.
    pole_bits : fraction bits of poles, 2..17; None: the rule of mapping/state_space.py.
    rounding : of states, "nearest" or "stochastic" (by draws from `state_seed`).
    table_bits : width of the index of activation tables, 8..12.
    activation : "table" (every activation but relu is read from a table) or "relu" (gelu and silu
        are replaced by relu).
    delta : layers send changes of their values that are larger than this share, 0..1, of the
        largest value that they emitted in the calibration; 0: every change. None: values.
    prune : share of a connection's weights, from 0 to below 1, that become 0 before quantisation,
        the smallest first (mapping/prune.py); one for all connections, or a dict by the names of
        their nodes or of the layers that they feed, "*" for the others.
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
    engine: str | dict[str, str] = "event"
    stream_length: int | dict[str, int] | None = None
    generator: str | dict[str, str] = "sobol"
    generators: int | dict[str, int] = 1
    tolerance: float | dict[str, float] | None = None
    margin: int | dict[str, int] | None = None
    first_length: int = 8
    state_bits: int | dict[str, int] = 16
    pole_bits: int | dict[str, int] | None = None
    rounding: str = "nearest"
    state_seed: int = 0
    table_bits: int = 10
    activation: str = "table"
    delta: float | dict[str, float] | None = None
    prune: float | dict[str, float] = 0.0

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
            ("state_bits", 2, 18, False),
            ("pole_bits", 2, 17, True),
            ("state_seed", 0, (1 << 32) - 1, False),
            ("table_bits", 8, 12, False),
        ):
            for value in self._values(name):
                if value is None and optional:
                    continue
                whole = isinstance(value, int) and not isinstance(value, bool)
                if not whole or not low <= value <= high:
                    raise UserError(
                        f"{name}: must be {low}..{high}, not {value!r}; change the setting"
                    )
        for name, allowed in (
            ("scale", ("layer", "neuron")),
            ("decay", ("factor", "shift")),
            ("clip", ("mse", "max")),
            ("readout", (None, "count", "last", "max", "mean", "none")),
            ("graded", (None, True, False)),
            ("rounding", ("nearest", "stochastic")),
            ("activation", ("table", "relu")),
        ):
            if getattr(self, name) not in allowed:
                raise UserError(
                    f"{name}: must be one of {', '.join(map(str, allowed))}, "
                    f"not {getattr(self, name)!r}; change the setting"
                )
        self._check_streams()
        for value in self._values("delta"):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 <= value <= 1):
                raise UserError(f"delta: must be in 0..1, not {value!r}; change the setting")
            if value is not None and self.payload_bits < 3:
                raise UserError(
                    f"delta: changes need payload_bits of at least 3, not {self.payload_bits}; "
                    "change one of the settings"
                )

        for value in self._values("prune"):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 <= value < 1):
                raise UserError(
                    f"prune: must be at least 0 and less than 1, not {value!r}; change the setting"
                )

    def _values(self, name: str) -> list[Any]:
        """What a setting says of any layer."""
        value = getattr(self, name)
        return list(value.values()) if isinstance(value, dict) and name in BY_LAYER else [value]

    def _check_streams(self) -> None:
        values = self._values
        for name, allowed in (("engine", ENGINES), ("generator", GENERATORS)):
            for value in values(name):
                if value not in allowed:
                    raise UserError(
                        f"{name}: must be {' or '.join(allowed)}, not {value!r}; change the setting"
                    )
        for name, low, high in (
            ("stream_length", 1, 1 << 16),
            ("generators", 1, 16),
            ("first_length", 2, 1 << 16),
        ):
            for value in values(name):
                if value is None and name == "stream_length":
                    continue
                whole = isinstance(value, int) and not isinstance(value, bool)
                if not whole or not low <= value <= high or value & (value - 1):
                    raise UserError(
                        f"{name}: must be a power of two in {low}..{high}, not {value!r}; "
                        "change the setting"
                    )
        for value in values("tolerance"):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 <= value < float("inf")):
                raise UserError(
                    f"tolerance: must be a number of at least 0, not {value!r}; change the setting"
                )
        for value in values("margin"):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and 0 <= value <= MOST_MARGIN):
                raise UserError(
                    f"margin: must be in 0..{MOST_MARGIN}, not {value!r}; change the setting"
                )

    def named(self, setting: str, names: Iterable[str]) -> bool:
        """Whether a setting says something of one of these names, and not just of all."""
        value = getattr(self, setting)
        return isinstance(value, dict) and any(name in value for name in names)

    def choice(self, setting: str, names: Iterable[str]) -> Any:
        """What a setting says of a layer with these names: first name first, then "*"."""
        value = getattr(self, setting)
        if not isinstance(value, dict):
            return value
        default = type(self).__dataclass_fields__[setting].default
        return next((value[name] for name in (*names, "*") if name in value), default)

    def width_of(self, source: str, target: str, node: str) -> Width:
        """The weight width of a connection."""
        if not isinstance(self.weight_bits, dict):
            return self.weight_bits
        for key in (node, f"{source}->{target}", target, "*"):
            if key in self.weight_bits:
                return self.weight_bits[key]
        return 8
