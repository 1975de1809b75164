"""The boards that Nervure builds for: parts, capacities and pins, read from `constraints`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hdl.params.errors import UserError

__all__ = ["Board", "Capacity", "board", "boards"]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a part holds: LUT4, flip-flops, 18-kbit block RAMs, 18 x 18 multipliers."""

    lut: int
    ff: int
    bram: int
    dsp: int


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Parameters
    ----------
    name, description, family, device, package, speed_grade:
        What is soldered on it.
    nextpnr_flag:
        The option that names the part to nextpnr.
    capacity:
        What the part holds.
    clock_port, clock_pin, clock_mhz:
        The oscillator and the top-level port it drives.
    pll_mhz:
        The system clock that designs ask the PLL for unless told otherwise.
    pins:
        Pin of every top-level port bit that the board knows: `clk`, `uart_rx`, `led[3]`.
    lpf:
        Text of the pin file.
    """

    name: str
    description: str
    family: str
    device: str
    nextpnr_flag: str
    package: str
    speed_grade: int
    capacity: Capacity
    clock_port: str
    clock_pin: str
    clock_mhz: float
    pll_mhz: float
    pins: Mapping[str, str]
    lpf: str

    def to_json(self) -> dict[str, Any]:
        """All but the pin file, as plain data."""
        data = {key: value for key, value in vars(self).items() if key not in ("lpf", "capacity")}
        return {**data, "capacity": vars(self.capacity).copy(), "pins": dict(self.pins)}


def _need(table: Mapping[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    if key not in table:
        raise UserError(f"{where}: key '{key}' is missing; the boards in constraints/ show it")
    if not isinstance(table[key], kind) or isinstance(table[key], bool):
        raise UserError(f"{where}: key '{key}' has the wrong kind of value: {table[key]!r}")
    return table[key]


def _pins(table: Mapping[str, Any], where: str) -> dict[str, str]:
    """One entry for each bit: a list names the bits of a vector, lowest first."""
    pins: dict[str, str] = {}
    for port in table:
        value = _need(table, port, (str, list), f"{where}, [pins]")
        bits = {port: value} if isinstance(value, str) else None
        pins |= bits or {f"{port}[{index}]": pin for index, pin in enumerate(value)}
    return pins


def _read(table_file: Traversable, lpf_file: Traversable) -> Board:
    where = table_file.name
    if not table_file.is_file():
        raise UserError(f"board file {where} does not exist; give the path of an existing .toml")
    try:
        table = tomllib.loads(table_file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where} is not valid TOML: {error}") from error
    if not lpf_file.is_file():
        raise UserError(f"{where}: its pin file {lpf_file.name} does not stand beside it; add it")
    capacity = _need(table, "capacity", dict, where)
    clock = _need(table, "clock", dict, where)
    texts = ("name", "description", "family", "device", "nextpnr_flag", "package")
    return Board(
        **{key: _need(table, key, str, where) for key in texts},
        speed_grade=_need(table, "speed_grade", int, where),
        pll_mhz=float(_need(table, "pll_mhz", (int, float), where)),
        capacity=Capacity(
            **{
                key: _need(capacity, key, int, f"{where}, [capacity]")
                for key in ("lut", "ff", "bram", "dsp")
            }
        ),
        clock_port=_need(clock, "port", str, f"{where}, [clock]"),
        clock_pin=_need(clock, "pin", str, f"{where}, [clock]"),
        clock_mhz=float(_need(clock, "mhz", (int, float), f"{where}, [clock]")),
        pins=_pins(_need(table, "pins", dict, where), where),
        lpf=lpf_file.read_text(encoding="utf-8"),
    )


@cache
def boards() -> dict[str, Board]:
    """All boards in `constraints`, by name."""
    folder = resources.files("constraints")
    found = {}
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".toml"):
            read = _read(item, folder / item.name.replace(".toml", ".lpf"))
            found[read.name] = read
    return found


def board(name: str) -> Board:
    """The board of this name; a path that ends in `.toml` reads a board of your own."""
    if name.endswith(".toml"):
        path = Path(name)
        return _read(path, path.with_suffix(".lpf"))
    known = boards()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? known" if close else "known"
    raise UserError(f"board '{name}' is unknown; {hint} boards: {', '.join(known)}")
