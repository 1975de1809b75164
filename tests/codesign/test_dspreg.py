"""Registers that move into multipliers: only where the circuit stays the same."""

import json

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from codesign.synth.dspreg import absorb_multipliers
from codesign.synth.nextpnr import Device, place_and_route
from codesign.synth.yosys import synthesise


class Pair(wiring.Component):
    """y = a*b - a*c with registers before and behind both products."""

    a: In(signed(18))
    b: In(signed(18))
    c: In(signed(18))
    y: Out(signed(37))

    def elaborate(self, _platform):
        m = Module()
        a, b, c = (Signal(signed(18), reset_less=True) for _ in range(3))
        p, q = (Signal(signed(36), reset_less=True) for _ in range(2))
        m.d.sync += [a.eq(self.a), b.eq(self.b), c.eq(self.c)]
        m.d.sync += [p.eq(a * b), q.eq(a * c), self.y.eq(p - q)]
        return m


def test_registers_before_and_behind_products_move_into_them(tmp_path, monkeypatch):
    monkeypatch.setenv("NERVURE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "pair.v"
    path.write_text(verilog.convert(Pair(), name="pair", strip_internal_attrs=True))
    fast, plain = synthesise([path], None, tmp_path, variants=["nowidelut", "plain"])
    assert plain.ff - fast.ff == 3 * 18 + 2 * 36  # `a` feeds both and goes into both
    module = json.loads(fast.path.read_text())["modules"][fast.top]
    cells = [cell for cell in module["cells"].values() if cell["type"] == "MULT18X18D"]
    for cell in cells:
        on = {key: value for key, value in cell["parameters"].items() if key.endswith("_CLK")}
        assert on == {"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK1", "REG_OUTPUT_CLK": "CLK2"}
        assert {tuple(cell["connections"][f"CE{k}"]) for k in range(3)} == {("1",)}
    speeds = [
        place_and_route(net, Device(), tmp_path, freq_mhz=250, out_of_context=True)[0].fmax_mhz
        for net in (fast, plain)
    ]
    assert speeds[0] > 1.3 * speeds[1]


def _flip_flop(d, q, **changes):
    cell = {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"},
        "port_directions": dict.fromkeys(("CLK", "DI", "LSR", "CE"), "input") | {"Q": "output"},
        "connections": {"CLK": [2], "DI": [d], "LSR": ["0"], "CE": [3], "Q": [q]},
    }
    for key, value in changes.items():
        place = cell["parameters"] if key in cell["parameters"] else cell["connections"]
        place[key] = value
    return cell


def _product(changes=None, port=None, a1="0"):
    """A multiplier of one-bit operands A0, B0 whose registers are "a", "b"; P0 goes to "p"."""
    changes = changes or {}
    pins = {"A0": [10], "A1": [a1], "B0": [11], "P0": [12], "P1": [13], "SIGNEDA": ["0"]}
    inputs = dict.fromkeys(("A0", "A1", "B0", "SIGNEDA"), "input")
    cells = {
        "m": {
            "type": "MULT18X18D",
            "parameters": {},
            "port_directions": inputs | {"P0": "output", "P1": "output"},
            "connections": pins,
        },
        "a": _flip_flop(20, 10, **changes.get("a", {})),
        "b": _flip_flop(21, 11, **changes.get("b", {})),
        "p": _flip_flop(12, 22, **changes.get("p", {})),
    }
    ports = {} if port is None else {"o": {"direction": "output", "bits": [port]}}
    return {"cells": cells, "ports": ports}


def test_the_moved_registers_keep_clock_enable_and_data():
    module = _product({"a": {"CEMUX": "CE"}})
    assert absorb_multipliers(module) == (1, 2)
    assert list(module["cells"]) == ["m"]
    found = module["cells"]["m"]["connections"]
    assert [found[pin] for pin in ("A0", "A1", "B0", "P0")] == [[20], ["0"], [21], [22]]
    assert [found[f"CE{k}"] for k in range(3)] == [[3], ["1"], ["1"]]
    assert all(found[f"CLK{k}"] == [2] and found[f"RST{k}"] == ["0"] for k in range(3))


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"changes": {"p": {"LSR": [7]}}}, {"p"}),  # a reset
        ({"changes": {"a": {"REGSET": "SET"}}}, {"a", "b"}),  # starts at one; both move or none
        ({"changes": {"b": {"CLKMUX": "INV"}}}, {"a", "b"}),
        ({"changes": {"b": {"CEMUX": "INV"}}}, {"a", "b"}),
        ({"port": 10}, {"a", "b"}),  # the operand is read elsewhere, too
        ({"port": 12}, {"p"}),
        ({"a1": "1"}, {"a", "b"}),  # a register would start at 0
        ({"a1": 30}, {"a", "b"}),  # a bit without register
        ({"a1": 11, "changes": {"b": {"CEMUX": "CE"}}}, {"a", "b"}),  # "b" feeds A1 and B0
    ],
)
def test_a_register_stays_where_the_circuit_would_change(change, left):
    module = _product(**change)
    absorb_multipliers(module)
    assert set(module["cells"]) - {"m"} == left


def test_an_operand_moves_only_if_all_that_it_feeds_take_it_in():
    module = _product()
    module["cells"]["n"] = json.loads(json.dumps(module["cells"]["m"]))
    module["cells"]["n"]["connections"] |= {"A1": [30], "B0": [31], "P0": [32], "P1": [33]}
    assert absorb_multipliers(module) == (1, 0)  # A of "n", which "a" feeds too, has a bare bit
    assert {"a", "b", "m", "n"} == set(module["cells"])


def test_nothing_is_left_to_move_a_second_time():
    module = _product()
    absorb_multipliers(module)
    before = json.dumps(module)
    absorb_multipliers(module)
    assert json.dumps(module) == before
