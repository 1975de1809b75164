"""Moves registers behind a block RAM into the block RAM's own output register.

Yosys 0.70 leaves the output registers of the ECP5's DP16KD unused, so data appear 5.8 ns after the
clock edge; with its register they appear after 1 ns. A port is changed only where that is the same
circuit bit for bit: every used output bit goes to exactly one flip-flop and nowhere else, and all
these flip-flops share the port's clock, start at zero, have no reset and one clock enable, which
is the port's own enable unless the port is always enabled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

__all__ = ["absorb", "enable_of", "plain_register", "users_of"]

_LOW = ("0", "x", None)


def _net(cell: Mapping[str, Any], port: str) -> Any:
    """The net (or constant) at a one-bit port; None when it is open."""
    bits = cell["connections"].get(port, [])
    return bits[0] if bits else None


def _width(cell: Mapping[str, Any], side: str) -> int:
    value = cell["parameters"].get(f"DATA_WIDTH_{side}", 18)
    return int(value, 2) if isinstance(value, str) else value


def enable_of(register: Mapping[str, Any]) -> Any:
    """The net that enables a flip-flop ("1" if always); None when it cannot be told."""
    kind = register["parameters"].get("CEMUX", "1").strip()
    return {"1": "1", "CE": _net(register, "CE")}.get(kind)


def plain_register(cell: Mapping[str, Any]) -> bool:
    """Whether a cell is a flip-flop without reset that starts at zero, on a rising edge."""
    values = cell["parameters"]
    return (
        cell["type"] == "TRELLIS_FF"
        and _net(cell, "LSR") in _LOW
        and values.get("LSRMUX", "LSR") == "LSR"
        and values.get("REGSET", "RESET") == "RESET"
        and values.get("CLKMUX", "CLK") == "CLK"
    )


def _refusal(ram: Mapping[str, Any], side: str, registers: list[Mapping[str, Any]]) -> str:
    """Why these flip-flops cannot move into the port; empty when they can."""
    first = registers[0]
    enable = enable_of(first)
    for register in registers:
        values = register["parameters"]
        if _net(register, "LSR") not in _LOW or values.get("LSRMUX", "LSR") != "LSR":
            return "the register behind it has a reset (give it reset_less=True)"
        if values.get("REGSET", "RESET") != "RESET":
            return "the register behind it starts at one"
        if values.get("CLKMUX", "CLK") != "CLK" or _net(register, "CLK") != _net(ram, f"CLK{side}"):
            return "the register behind it has another clock"
        if enable is None or enable_of(register) != enable:
            return "the registers behind it have several clock enables"
    if ram["parameters"].get(f"CLK{side}MUX", f"CLK{side}") != f"CLK{side}":
        return "its clock is inverted"
    if _net(ram, f"RST{side}") not in _LOW or _net(ram, f"OCE{side}") != "1":
        return "its read port has a reset"
    if _net(ram, f"CE{side}") not in ("1", enable):
        return "its enable differs from that of the register behind it"
    return ""


def users_of(module: Mapping[str, Any]) -> dict[Any, list[tuple[str, str]]]:
    """Who reads each net: (cell, port), or ("", port) for the module's own outputs."""
    users: dict[Any, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) != "output":
                for bit in bits:
                    users[bit].append((name, port))
    for name, port in module["ports"].items():
        if port["direction"] != "input":
            for bit in port["bits"]:
                users[bit].append(("", name))
    return users


def absorb(module: dict[str, Any]) -> dict[str, str]:
    """Change `module` (a module of a Yosys JSON netlist) in place.

    Returns, for each DP16KD that is read, an empty string when all its read ports now use their
    output registers, else the reason why not.
    """
    cells, users = module["cells"], users_of(module)
    outcome: dict[str, str] = {}
    for name in [key for key, cell in cells.items() if cell["type"] == "DP16KD"]:
        ram = cells[name]
        wide = 36 in (_width(ram, "A"), _width(ram, "B"))
        for side, halves in (("B", "AB"),) if wide else (("A", "A"), ("B", "B")):
            pins = [
                pin
                for half in halves
                for pin in (f"DO{half}{index}" for index in range(18))
                if users.get(_net(ram, pin))
            ]
            if not pins or any(ram["parameters"].get(f"REGMODE_{h}") == "OUTREG" for h in halves):
                continue
            readers = [users[_net(ram, pin)] for pin in pins]
            names = [found[0][0] for found in readers]
            lone = all(
                len(found) == 1
                and found[0][1] == "DI"
                and cells.get(found[0][0], {}).get("type") == "TRELLIS_FF"
                for found in readers
            )
            reason = (
                _refusal(ram, side, [cells[key] for key in names])
                if lone
                else "its output does not go straight and only into a register"
            )
            outcome[name] = outcome.get(name) or reason
            if reason:
                continue
            ram["connections"][f"OCE{side}"] = [enable_of(cells[names[0]])]
            for half in halves:
                ram["parameters"][f"REGMODE_{half}"] = "OUTREG"
            for pin, key in zip(pins, names, strict=True):
                ram["connections"][pin] = cells.pop(key)["connections"]["Q"]
    return outcome
