"""Moves registers around a multiplier into the multiplier's own registers.

Yosys 0.70 leaves the registers of the ECP5's MULT18X18D unused. A register is moved only where that
is the same circuit bit for bit. Behind the product: every used bit goes to exactly one flip-flop
and nowhere else. Before the operands, both or none (nextpnr times a multiplier with one as if it
had none): every bit is 0 or comes from a flip-flop that feeds operands only, all of which take
their registers in. The flip-flops of a product or an operand share a clock and an enable, start at
zero and have no reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codesign.synth.outreg import enable_of, plain_register, users_of

__all__ = ["absorb_multipliers"]

Side = tuple[str, str]  #: multiplier, operand "A" or "B"


def _bits(cell: Mapping[str, Any], letter: str, count: int) -> list[tuple[str, Any]]:
    """(pin, net) of a port that is a row of one-bit pins; pins that are open left out."""
    found = ((f"{letter}{k}", cell["connections"].get(f"{letter}{k}")) for k in range(count))
    return [(pin, bits[0]) for pin, bits in found if bits]


def _common(registers: list[Mapping[str, Any]]) -> tuple[Any, Any] | None:
    """Clock and enable of flip-flops that can move together; None if they can't."""
    kinds = {
        (register["connections"]["CLK"][0], enable_of(register))
        for register in registers
        if plain_register(register)
    }
    if len(kinds) != 1 or not all(plain_register(register) for register in registers):
        return None
    clock, enable = kinds.pop()
    return None if enable is None else (clock, enable)


def _clocked(cell: dict[str, Any], stage: str, line: int, clock: Any, enable: Any) -> None:
    """Turn on a register; each stage has clock, enable and reset lines of its own."""
    cell["connections"] |= {f"CLK{line}": [clock], f"CE{line}": [enable], f"RST{line}": ["0"]}
    for what in ("CLK", "CE", "RST"):
        cell["parameters"][f"REG_{stage}_{what}"] = f"{what}{line}"
        cell["port_directions"][f"{what}{line}"] = "input"


def _products(module: dict[str, Any], multipliers: list[str]) -> int:
    cells, users = module["cells"], users_of(module)
    moved = 0
    for name in multipliers:
        cell = cells[name]
        pins = [(pin, net) for pin, net in _bits(cell, "P", 36) if users.get(net)]
        readers = [users[net] for _, net in pins]
        if not pins or not all(len(r) == 1 and r[0][1] == "DI" for r in readers):
            continue
        names = [r[0][0] for r in readers]
        common = _common([cells[n] for n in names])
        if common is None:
            continue
        _clocked(cell, "OUTPUT", 2, *common)
        for (pin, _), register in zip(pins, names, strict=True):
            cell["connections"][pin] = cells.pop(register)["connections"]["Q"]
        moved += 1
    return moved


def _operands(module: dict[str, Any], multipliers: list[str]) -> int:
    cells, users = module["cells"], users_of(module)
    driver = {
        cell["connections"]["Q"][0]: name
        for name, cell in cells.items()
        if cell["type"] == "TRELLIS_FF" and cell["connections"].get("Q")
    }
    sides: dict[Side, tuple[Any, Any]] = {}
    for name in multipliers:
        for letter in "AB":
            nets = {net for _, net in _bits(cells[name], letter, 18)} - {"0", "x"}
            registers = [cells[driver[net]] for net in nets if net in driver]
            common = _common(registers) if nets and len(registers) == len(nets) else None
            if common is not None:
                sides[name, letter] = common
    while True:  # a register may go only if all that it feeds take it in
        kept = {
            (name, letter): common
            for (name, letter), common in sides.items()
            if {(name, "A"), (name, "B")} <= sides.keys()
            and all(
                (user, pin[0]) in sides and pin[1:].isdigit()
                for _, net in _bits(cells[name], letter, 18)
                if net not in ("0", "x")
                for user, pin in users[net]
            )
        }
        if len(kept) == len(sides):
            break
        sides = kept
    gone = set()
    for (name, letter), common in sides.items():
        cell = cells[name]
        _clocked(cell, f"INPUT{letter}", "AB".index(letter), *common)
        for pin, net in _bits(cell, letter, 18):
            if net not in ("0", "x"):
                gone.add(driver[net])
                cell["connections"][pin] = cells[driver[net]]["connections"]["DI"]
    for name in gone:
        del cells[name]
    return len(sides)


def absorb_multipliers(module: dict[str, Any]) -> tuple[int, int]:
    """Change `module` (a module of a Yosys JSON netlist) in place: (products, operands) that now
    stand in registers of their multipliers."""
    multipliers = [name for name, cell in module["cells"].items() if cell["type"] == "MULT18X18D"]
    return _products(module, multipliers), _operands(module, multipliers)
