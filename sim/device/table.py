"""Reading tables of devices: Nervure's own (devices.toml) and the user's, every number checked."""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from sim.device.device import Device
from sim.device.law import LAWS, Law, Piece

__all__ = ["find_device", "load_devices"]

#: Most bytes of a table, most coefficients and pieces of a law, largest magnitude of a number, of
#: an exponent.
MOST_BYTES, MOST_PARTS, HUGE, MOST_POWER = 1 << 20, 16, 1e9, 8

BOTH = ("drift_mean", "drift_sigma", "read_sigma")
#: Keys of each kind: laws, numbers that are needed.
KINDS = {
    "write": (("write_sigma", *BOTH), ("g_max", "t_0", "t_read")),
    "pulse": (
        ("set_step", "set_sigma", *BOTH),
        ("g_max", "t_0", "t_read", "reset_level", "reset_sigma"),
    ),
}
#: Range of a law's values at x in 0..1: what the hardware's tables can hold. Those of conductances
#: are in units of g_max.
RANGES = {
    "write_sigma": (0.0, 1.15),
    "set_step": (-1.0, 1.0),
    "set_sigma": (0.0, 1.15),
    "drift_mean": (0.0, 0.49),
    "drift_sigma": (0.0, 0.5),
    "read_sigma": (0.0, 0.49),
}


def _shown(value: Any) -> str:
    """A value in a message: one line, not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


class _Entry:
    """One table of the file, and where it stands for messages."""

    def __init__(self, table: Any, where: str) -> None:
        self.where = where
        if not isinstance(table, dict):
            raise UserError(f"{where}: must be a table, not {_shown(table)}; devices.toml shows it")
        self.table = table

    def fail(self, key: str, rule: str, value: Any) -> UserError:
        return UserError(f"{self.where}: {key} {rule}, not {_shown(value)}; change it")

    def need(self, key: str) -> Any:
        if key not in self.table:
            raise UserError(f"{self.where}: {key} is missing; add it, devices.toml shows its form")
        return self.table[key]

    def only(self, known: tuple[str, ...]) -> None:
        for key in self.table:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
                raise UserError(f"{self.where}: key {_shown(key)} is unknown; {hint}")

    def number(self, key: str, low: float, high: float, value: Any = None) -> float:
        value = self.need(key) if value is None else value
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise self.fail(key, f"must be a number in {low:g}..{high:g}", value)
        return float(value)

    def text(self, key: str) -> str:
        value = self.need(key)
        if not isinstance(value, str) or not value.strip() or len(value) > 1000:
            raise self.fail(key, "must be a text of 1..1000 characters", value)
        return value


def _piece(table: Any, where: str, last: bool) -> Piece:
    if isinstance(table, int | float) and not isinstance(table, bool):
        table = {"law": "polynomial", "coefficients": [table]}
    entry = _Entry(table, where)
    law = entry.need("law")
    if not isinstance(law, str) or law not in LAWS:
        raise entry.fail("law", f"must be {' or '.join(LAWS)}", law)
    _, need, may = LAWS[law]
    entry.only(("law", "low", "high", "below", *need, *may))
    numbers: dict[str, tuple[float, ...]] = {}
    for key in (*need, *(key for key in may if key in entry.table)):
        given = entry.need(key)
        if key != "coefficients":
            most = MOST_POWER if key == "exponent" else HUGE
            numbers[key] = (entry.number(key, -most, most),)
        elif not isinstance(given, list) or not 1 <= len(given) <= MOST_PARTS:
            raise entry.fail(key, f"must be a list of 1..{MOST_PARTS} numbers", given)
        else:
            numbers[key] = tuple(entry.number(key, -HUGE, HUGE, value) for value in given)
    if last and "below" in entry.table:
        raise entry.fail("below", "must not be there for the last piece", entry.table["below"])
    ends = {key: entry.number(key, -HUGE, HUGE) for key in ("low", "high") if key in entry.table}
    if ends.get("low", -HUGE) > ends.get("high", HUGE):
        raise entry.fail("low", f"must be at most high, {ends['high']:g}", ends["low"])
    below = np.inf if last else entry.number("below", 0, HUGE)
    return Piece(law=law, numbers=numbers, below=below, **ends)


def _law(given: Any, where: str) -> Law:
    tables = given if isinstance(given, list) else [given]
    if not 1 <= len(tables) <= MOST_PARTS:
        raise UserError(f"{where}: must have 1..{MOST_PARTS} pieces, not {len(tables)}; change it")
    pieces = tuple(
        _piece(table, f"{where}[{k}]" if len(tables) > 1 else where, k == len(tables) - 1)
        for k, table in enumerate(tables)
    )
    ends = [piece.below for piece in pieces]
    if ends != sorted(set(ends)):
        raise UserError(f"{where}: the values of below must rise from piece to piece; change them")
    return Law(pieces)


def _device(name: str, table: Any, file: str) -> Device:
    entry = _Entry(table, f"{file}, device {_shown(name)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError(
            f"{entry.where}: its name must be 1..64 letters, digits, '-', '_' or '.', "
            "with a letter or digit first; rename it"
        )
    kind = entry.need("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise entry.fail("kind", f"must be {' or '.join(map(repr, KINDS))}", kind)
    laws, numbers = KINDS[kind]
    entry.only(("source", "kind", "g_min", *numbers, *laws))
    values = {"g_max": entry.number("g_max", 1e-6, 1e6), "t_0": entry.number("t_0", 1e-9, HUGE)}
    values["t_read"] = entry.number("t_read", 0, HUGE)
    if values["t_read"] >= values["t_0"]:
        raise entry.fail("t_read", f"must be less than t_0, {values['t_0']:g}", values["t_read"])
    for key in ("g_min", "reset_level", "reset_sigma"):
        if key in entry.table or key in numbers:
            values[key] = entry.number(key, 0, values["g_max"])
    made = {key: _law(entry.need(key), f"{entry.where}, {key}") for key in laws}
    for key, law in made.items():
        scale = values["g_max"] if key.endswith(("write_sigma", "set_step", "set_sigma")) else 1.0
        low, high = (bound * scale for bound in RANGES[key])
        x = np.linspace(0, 1, 257)
        with np.errstate(all="ignore"):
            y = law(x)
        for at, value in zip(x, y, strict=True):
            if not low <= value <= high:
                rule = f"must give values in {low:g}..{high:g}"
                raise entry.fail(key, f"{rule} at x = {at:g}", float(value))
    return Device(name=name, source=entry.text("source"), kind=kind, laws=made, **values)


def _read(path: Any, file: str) -> dict[str, Device]:
    """Devices of a TOML file; `path` is opened for reading bytes."""
    try:
        if not path.is_file():
            raise UserError(f"device table {file} is no file; give the path of an existing .toml")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it can't be read"
        raise UserError(f"device table {file}: {reason}; give a readable .toml") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"device table {file} has more than {MOST_BYTES} bytes; shorten it")
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        raise UserError(f"{file} is no UTF-8 text at {where}; save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{file} is no valid TOML: {why}; mend it") from error
    if not tables:
        raise UserError(f"device table {file} has no device; add a table such as [my-device]")
    return {name: _device(name, table, file) for name, table in tables.items()}


@cache
def _own() -> dict[str, Device]:
    return _read(resources.files("sim.device") / "devices.toml", "devices.toml")


def load_devices(path: str | Path | None = None) -> dict[str, Device]:
    """Devices by name: Nervure's, and those of the user's table at `path`.

    UserError, in one line, if the table can't be read, if an entry is missing, unknown or absurd,
    or a name is taken.
    """
    devices = dict(_own())
    if path is not None:
        for name, device in _read(Path(path), str(path)).items():
            if name in devices:
                raise UserError(f"{path}, device '{name}': Nervure has one so named; rename it")
            devices[name] = device
    return devices


def find_device(name: str, path: str | Path | None = None) -> Device:
    """The device of this name; UserError as `load_devices`, or if there is none."""
    devices = load_devices(path)
    if name in devices:
        return devices[name]
    close = difflib.get_close_matches(name.lower(), devices, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? known" if close else "known"
    raise UserError(f"device '{name}' is unknown; {hint} devices: {', '.join(devices)}")
