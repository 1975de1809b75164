"""What units there are: a name, a family, and an example of parameters for each.

A unit `X` of module `m` is `hdl.params.sc.m.XParams`, `hdl.sc.m.X` and `sim.golden.sc.m.XModel`.
A new unit is one row here; tests/codesign/test_sc.py finds one that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from importlib import import_module
from typing import Any, get_type_hints

from hdl.params.errors import UserError
from hdl.params.sc.unit import UnitParams

__all__ = ["FAMILIES", "Unit", "find_unit", "units"]

#: Family: unit class: (module, parameters of the example whose cost is quoted).
FAMILIES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "generators": {
        "Lfsr": ("lfsr", {"width": 8}),
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
        return [
            {
                "name": field.name,
                "type": getattr(hints[field.name], "__name__", str(hints[field.name])),
                "default": None if field.default is MISSING else field.default,
                "example": self.example.get(
                    field.name, None if field.default is MISSING else field.default
                ),
            }
            for field in fields(self.params_class)  # type: ignore[arg-type]
        ]

    def make(self, given: Mapping[str, str] | None = None) -> UnitParams:
        """Parameters from the example and what is `given` as text, else a UserError."""
        hints = get_type_hints(self.params_class)
        known = [field.name for field in fields(self.params_class)]  # type: ignore[arg-type]
        values = dict(self.example)
        for name, text in (given or {}).items():
            if name not in known:
                raise UserError(
                    f"{self.name}: there is no parameter {name}; it has {', '.join(known)}"
                )
            values[name] = _value(f"{self.name}: {name}", text, hints[name])
        try:
            return self.params_class(**values)
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
        if kind is int:
            return int(text, 0)
        if kind is float:
            return float(text)
        rows = [tuple(int(n, 0) for n in row.split(",") if n.strip()) for row in text.split(";")]
        return tuple(rows) if ";" in text or "tuple[tuple" in str(kind) else rows[0]
    except ValueError:
        raise UserError(f"{what} must be {kind!r}, not {text!r}".replace("<class 'int'>", "a whole "
                        "number").replace("<class 'float'>", "a number")) from None  # fmt: skip


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
    known = ", ".join(unit.name for unit in units())
    raise UserError(f"{name}: there is no such unit; there are {known}")
