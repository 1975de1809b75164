"""The choices of a compilation: defaults, a TOML file, the command line, in that order."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from codesign.crossbar.settings import Crossbars
from hdl.params.errors import UserError
from hdl.params.noc import check_fifo
from mapping.graph import Options
from mapping.mapped import Target
from mapping.settings import Quantisation

__all__ = ["DEVICES", "Settings", "assigned", "load_settings"]

#: The user's table of devices in an artefact.
DEVICES = "devices.toml"
#: Parts of the settings; no two have a setting of the same name.
PARTS = ("options", "quantisation", "target", "crossbar")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a user may choose.

    options : what the model file leaves open. quantisation : numbers. target : the mesh.
    crossbar : devices and arrays of crossbar layers. board : FPGA board whose constraints are
    written. calibration : stimulus that sets number formats; None: random input. It is read while
    compiling and is no part of the artefact.
    """

    options: Options = field(default_factory=Options)
    quantisation: Quantisation = field(default_factory=Quantisation)
    target: Target = field(default_factory=Target)
    crossbar: Crossbars = field(default_factory=Crossbars)
    board: str = "ulx3s-85f"
    calibration: Path | None = None

    def with_values(self, values: dict[str, Any], where: str = "settings") -> Settings:
        """These settings with flat `values` put in; UserError lists all unknown or wrong keys."""
        parts = {name: getattr(self, name) for name in PARTS}
        known = {f.name: part for part, thing in parts.items() for f in fields(thing)}
        wrong = []
        changes: dict[str, dict[str, Any]] = {part: {} for part in parts}
        board, calibration = self.board, self.calibration
        for key, value in values.items():
            if key == "board":
                board = value
            elif key == "calibration":
                calibration = value
            elif key in known:
                changes[known[key]][key] = value
            else:
                names = sorted([*known, "board", "calibration"])
                near = get_close_matches(key, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
                wrong.append(f"{where}: unknown setting {key!r}; {hint}")
        if wrong:
            raise UserError("; ".join(wrong))
        try:
            made = {part: replace(parts[part], **changes[part]) for part in parts}
        except TypeError as error:
            raise UserError(f"{where}: {error}; change the setting") from None
        if isinstance(calibration, str):
            calibration = Path(calibration)
        if isinstance(made["crossbar"].device_table, str):
            table = Path(made["crossbar"].device_table)
            made["crossbar"] = replace(made["crossbar"], device_table=table)
        settings = Settings(board=board, calibration=calibration, **made)
        _check(settings, where)
        return settings

    def with_tables_in(self, folder: Path) -> Settings:
        """A device table's name is relative to `folder`."""
        table = self.crossbar.device_table
        if table is None:
            return self
        return replace(self, crossbar=replace(self.crossbar, device_table=folder / table))

    def flat(self) -> dict[str, Any]:
        """All settings but the calibration file as one flat dictionary, for the artefact, which
        keeps a table of devices of the user's under the name DEVICES."""
        table = None if self.crossbar.device_table is None else DEVICES
        return {
            **asdict(self.options),
            **asdict(self.quantisation),
            **asdict(self.target),
            **{**asdict(self.crossbar), "device_table": table},
            "board": self.board,
        }


def _check(settings: Settings, where: str) -> None:
    """Types and choices that the parts don't check themselves."""
    o, t = settings.options, settings.target
    problems = []
    for name, value, choices in (
        ("scheme", o.scheme, ("euler", "exponential")),
        ("compare", o.compare, (">", ">=")),
        ("reset", o.reset, ("v_reset", "zero", "subtract", "delayed")),
        ("index", t.index, ("auto", "none", "word", "lane")),
    ):
        if value not in choices:
            problems.append(f"{where}: {name} must be one of {', '.join(choices)}, not {value!r}")
    if o.dt is not None and not (
        isinstance(o.dt, int | float) and not isinstance(o.dt, bool) and 0 < o.dt < float("inf")
    ):
        problems.append(f"{where}: dt must be a positive number of seconds, not {o.dt!r}")
    whole = {"recurrent_delay": o.recurrent_delay, "lanes": t.lanes}
    optional = (
        "cores", "update_lanes", "neurons", "synapse_bits", "axons", "routes", "width", "height",
        "stream_lanes", "state_lanes",
    )  # fmt: skip
    whole |= {n: getattr(t, n) for n in (*optional, "interval") if getattr(t, n) is not None}
    for name, number in whole.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            problems.append(f"{where}: {name} must be a whole number from 1, not {number!r}")
    try:
        check_fifo(t.fifo)
    except ValueError as error:
        problems.append(f"{where}: {error}")
    if not isinstance(t.seed, int) or isinstance(t.seed, bool) or t.seed < 0:
        problems.append(f"{where}: seed must be a whole number from 0, not {t.seed!r}")
    if not isinstance(o.force, bool):
        problems.append(f"{where}: force must be true or false, not {o.force!r}")
    if not isinstance(settings.board, str):
        problems.append(f"{where}: board must be a name, not {settings.board!r}")
    if not isinstance(settings.calibration, Path | None):
        problems.append(f"{where}: calibration must be a path, not {settings.calibration!r}")
    if problems:
        raise UserError("; ".join(problems))


def assigned(texts: Sequence[str] | None) -> dict[str, Any]:
    """Settings of the form SETTING=VALUE, with values as in a settings file; a value that is no
    TOML is a text."""
    values: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UserError(f"--set: must be SETTING=VALUE, as stuck=0.01, not {text!r}")
        try:
            values[name] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            values[name] = value.strip()
    return values


def load_settings(path: Path | str | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Defaults, then the TOML file (if any), then `overrides` that are not None.

    A `calibration` and a `device_table` in the file are relative to the file.
    """
    settings = Settings()
    if path is not None:
        try:
            with open(path, "rb") as file:
                values = tomllib.load(file)
        except OSError as error:
            raise UserError(f"{path}: can't be read ({error.strerror})") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not TOML: {error}") from None
        settings = settings.with_values(values, str(path))
        if settings.calibration is not None:
            settings = replace(settings, calibration=Path(path).parent / settings.calibration)
        settings = settings.with_tables_in(Path(path).parent)
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    return settings.with_values(given, "command line")
