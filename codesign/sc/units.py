"""What units there are: a name, a family, and an example of parameters for each.

A unit `X` of module `m` is `hdl.params.sc.m.XParams`, `hdl.sc.m.X` and `sim.golden.sc.m.XModel`.
A new unit is one row here; tests/codesign/test_sc.py finds one that is missing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, get_type_hints

from hdl.params.errors import UserError
from hdl.params.sc.unit import UnitParams

__all__ = ["FAMILIES", "Unit", "find_unit", "units"]

#: Couplings of the example of a Gibbs sampler: a ring of 8 spins, one bond frustrated.
RING = tuple(
    tuple((-2 if {i, j} == {0, 7} else 2) if (i - j) % 8 in (1, 7) else 0 for j in range(8))
    for i in range(8)
)

#: Family: unit class: (module, parameters of the example whose cost is quoted).
FAMILIES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "generators": {
        "Lfsr": ("lfsr", {"width": 8}),
        "SharedLfsr": ("shared", {"width": 8, "lanes": 8}),
        "Sobol": ("sobol", {"width": 8}),
        "Halton": ("halton", {"width": 8}),
        "Counter": ("counter", {"width": 8}),
        "Sng": ("sng", {"width": 8}),
    },
    "arithmetic": {
        "Multiply": ("multiply", {}),
        "UMul": ("umul", {"width": 8}),
        "UMac": ("umac", {"inputs": 16, "width": 8}),
        "MuxAdd": ("add", {}),
        "OrAdd": ("add", {}),
        "ParallelCount": ("add", {"inputs": 16}),
        "ScaledAdd": ("add", {"inputs": 4}),
        "Subtract": ("subtract", {}),
        "AbsoluteDifference": ("subtract", {}),
        "AbsoluteValue": ("subtract", {}),
        "Minimum": ("minmax", {}),
        "Maximum": ("minmax", {}),
        "Compare": ("compare", {}),
        "ToBipolar": ("convert", {}),
        "ToUnipolar": ("convert", {}),
        "Dot": ("dot", {}),
        "Estimate": ("estimate", {}),
        "MovingAverage": ("estimate", {}),
        "Product": ("product", {}),
    },
    "correlation": {
        "Delay": ("delay", {}),
        "Decorrelate": ("delay", {}),
        "Synchronise": ("synchronise", {}),
        "Desynchronise": ("synchronise", {}),
        "SkewSynchronise": ("synchronise", {}),
        "SccMeter": ("scc", {}),
    },
    "functions": {
        "Divide": ("divide", {}),
        "SquareRoot": ("sqrt", {}),
        "Tanh": ("fsm", {}),
        "Exponential": ("fsm", {}),
        "Relu": ("fsm", {}),
        "Sigmoid": ("sigmoid", {}),
        "Progress": ("progress", {}),
    },
    "random": {
        "StochasticRound": ("rounding", {"bits": 16, "drop": 8}),
        "Bernoulli": ("bernoulli", {"bits": 8}),
        "PBit": ("pbit", {}),
        "GibbsSampler": ("gibbs", {"couplings": RING}),
        "Gaussian": ("gaussian", {}),
    },
}


@dataclass(frozen=True)
class Unit:
    """A unit of the library.

    Members
    -------
    cls, module, family : where it stands.
    example : parameters of a typical instance.
    """

    cls: str
    module: str
    family: str
    example: dict[str, Any]

    @property
    def name(self) -> str:
        """As the command line calls it: ScaledAdd is scaled-add."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", self.cls).lower()

    @cached_property
    def params_class(self) -> type[UnitParams]:
        return getattr(import_module(f"hdl.params.sc.{self.module}"), f"{self.cls}Params")

    @property
    def component(self) -> type:
        return getattr(import_module(f"hdl.sc.{self.module}"), self.cls)

    @property
    def model(self) -> type:
        return getattr(import_module(f"sim.golden.sc.{self.module}"), f"{self.cls}Model")

    @property
    def summary(self) -> str:
        """First paragraph of the component's docstring."""
        return " ".join((self.component.__doc__ or "").strip().split("\n\n")[0].split())

    def parameters(self) -> list[dict[str, Any]]:
        """Name, type, default (None if there is none) and example value of each parameter."""
        hints = get_type_hints(self.params_class)
        rows = []
        for field in fields(self.params_class):  # type: ignore[arg-type]
            default = None if field.default is MISSING else field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            kind = hints[field.name]
            rows.append(
                {
                    "name": field.name,
                    "type": getattr(kind, "__name__", str(kind)) if isinstance(kind, type) else
                    str(kind),
                    "default": default,
                    "example": self.example.get(field.name, default),
                }
            )  # fmt: skip
        return rows

    def make(self, given: Mapping[str, str] | None = None) -> UnitParams:
        """Parameters from the example and what is `given` as text, else a UserError."""
        values, parts = dict(self.example), dict[str, dict[str, str]]()
        for name, text in (given or {}).items():
            whole, _, part = name.partition(".")
            if part:
                parts.setdefault(whole, {})[part] = text
            else:
                values[name] = _value(f"{self.name}: {name}", text, self._kind(name))
        for name, inner in parts.items():  # a parameter that has parameters itself
            kind = self._kind(name)
            hints = get_type_hints(kind) if is_dataclass(kind) else {}
            if unknown := set(inner) - set(hints):
                raise UserError(
                    f"{self.name}: {name} has no {sorted(unknown)[0]}; it has "
                    f"{', '.join(hints) or 'no parts'}"
                )
            given_parts = {k: _value(f"{self.name}: {name}.{k}", v, hints[k])
                           for k, v in inner.items()}  # fmt: skip
            values[name] = self._made(kind, given_parts)
        return self._made(self.params_class, values)

    def _kind(self, name: str) -> Any:
        hints = get_type_hints(self.params_class)
        known = [field.name for field in fields(self.params_class)]  # type: ignore[arg-type]
        if name not in known:
            raise UserError(f"{self.name}: there is no parameter {name}; it has {', '.join(known)}")
        return hints[name]

    def _made(self, kind: Any, values: dict[str, Any]) -> Any:
        try:
            return kind(**values)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name}: {error}") from None


def _value(what: str, text: str, kind: Any) -> Any:
    """A parameter's value from its text: a number, yes or no, a word, or a list of numbers."""
    if kind is bool:
        if text.lower() in ("true", "yes", "1", "false", "no", "0"):
            return text.lower() in ("true", "yes", "1")
        raise UserError(f"{what} must be true or false, not {text!r}")
    if kind is str:
        return text
    try:
        if "tuple" not in str(kind):
            return int(text, 0)
        rows = [tuple(int(n, 0) for n in row.split(",") if n.strip()) for row in text.split(";")]
        return tuple(rows) if "tuple[tuple" in str(kind) else rows[0]
    except ValueError:
        wanted = "a whole number" if "tuple" not in str(kind) else "numbers, as in 1,2;3,4"
        raise UserError(f"{what} must be {wanted}, not {text!r}") from None


def units() -> tuple[Unit, ...]:
    """All units, family by family."""
    return tuple(
        Unit(cls, module, family, example)
        for family, members in FAMILIES.items()
        for cls, (module, example) in members.items()
    )


def find_unit(name: str) -> Unit:
    """The unit of that name, else a UserError that lists them."""
    for unit in units():
        if name.lower() in (unit.name, unit.cls.lower()):
            return unit
    known = [unit.name for unit in units()]
    close = difflib.get_close_matches(name.lower(), known, 1)
    mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    raise UserError(f"{name}: there is no such unit; {mend}")
