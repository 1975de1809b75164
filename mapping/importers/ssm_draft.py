"""A state-space model while it is read: its units, its settings, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from mapping.activations import EPSILON
from mapping.discretise import METHODS
from mapping.graph import Options
from mapping.importers.expression import Affine, Builder
from mapping.importers.ssm_units import EXPECTED, Unit, find_units

__all__ = ["SETTINGS", "Draft", "ModelError", "refused", "stated"]

#: What a state_dict doesn't hold and config.* may: the values by their number.
SETTINGS: dict[str, tuple[str, ...]] = {
    "pooling": ("mean", "last", "none"),
    "activation": ("none", "relu", "gelu", "tanh", "sigmoid", "silu"),
    "discretisation": METHODS,
    "prenorm": ("no", "yes"),
    "residual": ("no", "yes"),
}
_FIXED = ("dt", "scheme", "compare", "reset", "recurrent_delay", "force")


def stated(options: Options) -> dict[str, str]:
    """What options say of SETTINGS."""
    values = {n: getattr(options, "nonlinearity" if n == "activation" else n) for n in SETTINGS}
    return {name: value for name, value in values.items() if value is not None}


class ModelError(ValueError):
    """All problems of a model, one a line."""


class Draft:
    """What a front end takes units from; `problems` of all checks so far.

    settings: by the names of SETTINGS, instead of what the file says. expected: what a file of this
    family holds.
    """

    expected = EXPECTED

    def __init__(
        self, tensors: Mapping[str, np.ndarray], options: Options, settings: Mapping[str, str]
    ) -> None:
        self.options = options
        self.settings = {**stated(options), **settings}
        self.config = {k[7:]: v for k, v in tensors.items() if k.startswith("config.")}
        self.extra = {k: v for k, v in tensors.items() if not k.startswith("config.")}
        self.units, unknown, self.problems = find_units(self.extra)
        self.extra = {k: self.extra[k] for k in unknown}
        self.rest = list(self.units)
        self.builder = Builder()
        self.used: set[str] = set()
        for name in _FIXED:
            if getattr(options, name) != getattr(Options(), name):
                self.problems.append(f"setting {name!r} is of spiking neurons; remove the setting")
        for name, value in self.settings.items():
            if name not in SETTINGS or value not in SETTINGS[name]:
                known = {n: " or ".join(v) for n, v in SETTINGS.items()}.get(name, list(SETTINGS))
                self.problems.append(f"setting {name!r} must be {known}, not {value!r}")

    def check(self) -> None:
        """Raise ModelError if there are problems; it names the tensors that are no unit's too."""
        if self.problems:
            self._unknown(list(self.extra))
            raise ModelError("\n".join(self.problems))

    def _unknown(self, names: list[str]) -> None:
        names += [f"config.{n}" for n in self.config if n not in SETTINGS]
        if names and not any("has no place for" in line for line in self.problems):
            shown = ", ".join(f"'{n[:60]}'" for n in names[:8])
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            self.problems.append(f"has no place for {shown}{more}; expected are {self.expected}")

    def of_kind(self, *kinds: str) -> list[Unit]:
        return [u for u in self.rest if u.kind in kinds]

    def take(self, prefix: str, *kinds: str) -> Unit:
        """The unit with this prefix; a problem and an empty one if it is missing."""
        for unit in self.rest:
            if unit.prefix == prefix and unit.kind in kinds:
                self.rest.remove(unit)
                return unit
        self.problems.append(f"'{prefix}weight' ({' or '.join(kinds)}) is missing")
        return Unit(kinds[0], prefix, -1)

    def maybe(self, unit: Unit | None) -> Unit | None:
        if unit is not None:
            self.rest.remove(unit)
        return unit

    def ends(self, first: int, last: int) -> tuple[Unit | None, Unit | None]:
        """The linear units before place `first` and behind `last`, where there are any."""
        linear = self.of_kind("linear")
        before = [u for u in linear if u.place < first]
        behind = [u for u in linear if u.place > last]
        encoder = self.maybe(before[-1] if before else None)
        return encoder, self.maybe(behind[0] if behind else None)

    def norms(self, layers: int) -> list[Unit]:
        """All norms that are left: none, or one for each layer."""
        norms = self.of_kind("norm", "batchnorm")
        self.rest = [u for u in self.rest if u not in norms]
        if norms and len(norms) != layers:
            self.problems.append(f"has {len(norms)} norms for {layers} layers; one each fits")
            return []
        return norms

    def choose(self, name: str, default: str) -> str:
        """A setting of the model: from the caller, the file, or the default; it becomes a note."""
        self.used.add(name)
        values, given = SETTINGS[name], self.config.get(name)
        number = given.reshape(-1)[0].item() if given is not None and given.size == 1 else -1
        if name in self.settings:
            value, origin = self.settings[name], "as it was set"
        elif given is None:
            value, origin = default, f"the default; the file has no config.{name}"
        elif number in range(len(values)):
            value, origin = values[int(number)], "as the file says"
        else:
            meaning = ", ".join(f"{i} {v}" for i, v in enumerate(values))
            self.problems.append(f"'config.{name}' must be one of {meaning}, not {given.tolist()}")
            return default
        self.builder.note("", f"{name}: {value}", origin)
        return value

    def width(self, unit: Unit, letter: str, size: int) -> None:
        """That a unit takes ("I", or by others) or gives ("O") `size` values."""
        if (own := unit.sizes.get(letter, size)) != size:
            does, others = ("gives", "fit") if letter == "O" else ("takes", "arrive")
            self.problems.append(f"'{unit.name}' {does} {own} values, where {size} {others}")

    def stable(self, unit: Unit, poles: np.ndarray, *others: np.ndarray) -> None:
        """That all poles lie in the unit circle and all numbers are finite."""
        if not all(np.isfinite(v).all() for v in (poles, *others)):
            self.problems.append(f"'{unit.name}' has parameters so large that its poles overflow")
        elif bad := int(np.count_nonzero(np.abs(poles) >= 1)):
            self.problems.append(
                f"'{unit.name}': {bad} of {poles.size} poles are not stable (|a| up to "
                f"{np.abs(poles).max():.6g}, it must be below 1); train it with a bound on them"
            )

    def finish(self) -> None:
        """That nothing of the file was left out; raises with all problems."""
        self._unknown([u.prefix + n for u in self.rest for n in u.tensors] + list(self.extra))
        for name in SETTINGS:
            if name not in self.used and (name in self.config or name in self.settings):
                self.problems.append(f"{name} means nothing in this model; leave it out")
        self.check()

    def encode(self, unit: Unit | None, size: int) -> Affine:
        """The model's input, behind its encoder if there is one."""
        if unit is None:
            return self.builder.input(size)
        return self.linear(unit, self.builder.input(unit.sizes["I"]))

    def linear(self, unit: Unit, x: Affine) -> Affine:
        return self.builder.linear(unit.name, x, unit["weight"], unit.get("bias"))

    def norm(self, unit: Unit, x: Affine) -> Affine:
        """LayerNorm, or the gain and bias that a BatchNorm is after training."""
        gain, bias = unit.get("weight"), unit.get("bias")
        if unit.kind == "norm":
            if bias is None:
                self.builder.note(unit.name, "taken as LayerNorm without bias", "RMSNorm differs")
            return self.builder.norm(unit.name, x, gain, bias)
        whole = (1.0 if gain is None else gain) / np.sqrt(unit["running_var"] + EPSILON)
        self.builder.record(unit.name, "BatchNorm", x.size, "into the connections")
        rest = -whole * unit["running_mean"] + (0.0 if bias is None else bias)
        return x.times(unit.name, whole, rest)

    def answer(self, unit: Unit | None, x: Affine) -> Any:
        """The output layer: a decoder, or the values themselves."""
        x = x if unit is None else self.linear(unit, x)
        name = "output" if unit is None else unit.name
        return self.builder.layer(name, "Linear", x).name


def refused(path: Any, problems: list[str]) -> UserError:
    """One error for all problems of a file."""
    if len(problems) == 1:
        return UserError(f"{path}: {problems[0]}")
    return UserError("\n  ".join([f"{path}: {len(problems)} problems", *problems]))
