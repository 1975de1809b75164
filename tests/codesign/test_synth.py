"""Synthesis: tiny Amaranth designs through Yosys, nextpnr and ecppack, for real."""

import ast
import json
import subprocess
import sys
from importlib import util

import pytest
from amaranth import Module, Signal
from amaranth.back import verilog
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from codesign.boards import board
from codesign.synth.nextpnr import Device, best, median_mhz, place_and_route
from codesign.synth.ooc import choose, measure
from codesign.synth.outreg import absorb
from codesign.synth.path import describe, simple_name
from codesign.synth.process import heartbeat
from codesign.synth.result import DoesNotFit
from codesign.synth.run import synth
from codesign.synth.yosys import synthesise
from hdl.params.errors import CheckFailed, ToolMissing, UserError

KEYS = {"target", "lut", "ff", "bram", "dsp", "fmax_mhz", "cycles_per_step", "bitstream"}
KEYS |= {"lutram", "critical_path", "memories", "seed", "capacity", "fits", "seconds"}


class Blinker(wiring.Component):
    """A counter that writes a memory from the serial input and shows it on the lamps."""

    uart_rx: In(1)
    uart_tx: Out(1)
    led: Out(8)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.table = table = memory.Memory(shape=8, depth=1024, init=range(256))
        write, read = table.write_port(), table.read_port()
        count = Signal(24)
        m.d.sync += [count.eq(count + 1), self.led.eq(read.data)]
        m.d.comb += [
            read.addr.eq(count[8:18]),
            write.addr.eq(count[:10]),
            write.data.eq(count[10:18]),
            write.en.eq(self.uart_rx),
            self.uart_tx.eq(count[-1]),
        ]
        return m


class Exploding(wiring.Component):
    """A memory whose reads are not clocked and whose ports are too many for LUT RAM."""

    a: In(6)
    b: In(8)
    en: In(1)
    q: Out(8)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.table = table = memory.Memory(shape=8, depth=64, init=[])
        read = table.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.a), self.q.eq(read.data)]
        for address in (self.a, self.b[:6]):
            write = table.write_port()
            m.d.comb += [write.addr.eq(address), write.data.eq(self.b), write.en.eq(self.en)]
        return m


class Table(wiring.Component):
    """A block RAM with a register behind it, which may have a reset and an enable."""

    wa: In(9)
    ra: In(9)
    d: In(16)
    en: In(1)
    go: In(1)
    q: Out(16)

    def __init__(self, *, reset_less=True, exact=False, enable=False):
        self.reset_less, self.enable = reset_less, enable
        self.attrs = {} if exact else {"no_rw_check": 1}
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        m.submodules.table = table = memory.Memory(shape=16, depth=512, init=[], attrs=self.attrs)
        write, read = table.write_port(), table.read_port()
        word = Signal(16, reset_less=self.reset_less)
        m.d.comb += [write.addr.eq(self.wa), write.data.eq(self.d), write.en.eq(self.en)]
        m.d.comb += [read.addr.eq(self.ra), read.en.eq(self.go if self.enable else 1)]
        with m.If(read.en):
            m.d.sync += word.eq(read.data)
        m.d.sync += self.q.eq(word + 1)
        return m


def write(folder, component, name):
    path = folder / f"{name}.v"
    path.write_text(verilog.convert(component, name=name, strip_internal_attrs=True))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One folder and one cache for the whole file."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("synth")
        patch.setenv("NERVURE_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def artefact(place):
    """A folder as `nervure compile` leaves it."""
    folder = place / "artefact"
    (folder / "rtl").mkdir(parents=True)
    write(folder / "rtl", Blinker(), "blinker")
    (folder / "report.json").write_text(json.dumps({"cycles_per_step": 17}))
    return folder


def test_an_artefact_becomes_a_bitstream_and_repeats_come_from_the_cache(artefact):
    said = []
    result = synth(artefact, "ulx3s-85f", bitstream=True, svf=True, progress=said.append)
    data = result.to_json()
    assert set(data) >= KEYS
    json.dumps(data)
    assert (result.target, result.fits, result.cycles_per_step) == ("ulx3s-85f", True, 17)
    assert (result.bram, result.dsp, result.lutram) == (1, 0, 0)
    assert 20 < result.lut < 120
    assert 24 <= result.ff < 80
    assert result.fmax_mhz is not None
    assert result.fmax_mhz > 25
    assert result.clocks["clk"]["asked_mhz"] == 25
    assert result.critical_path is not None
    assert " logic + " in result.critical_path
    assert not result.out_of_context
    (table,) = result.memories
    assert (table.bits, table.dp16kd, table.became) == (8192, 1, "block RAM")
    bit = artefact / "synth" / "blinker.bit"
    assert result.bitstream == str(bit)
    assert b"Part: LFE5U-85F-6CABGA381" in bit.read_bytes()[:200]
    assert bit.with_suffix(".svf").read_text().startswith("HDR")
    assert [said[0], said[-1][:7]] == ["Yosys (nowidelut)", "ecppack"]

    first = bit.read_bytes()
    again = synth(artefact, "ulx3s-85f", bitstream=True)
    assert bit.read_bytes() == first
    assert (again.fmax_mhz, again.lut) == (result.fmax_mhz, result.lut)
    assert again.seconds < 5


def test_the_smaller_board_and_high_effort(artefact):
    result = synth(artefact, board("ulx3s-25f"), effort="high", freq=150)
    assert result.capacity["bram"] == 56
    assert sorted(result.fmax_by_seed) == [1, 2, 3]
    assert result.fmax_mhz == max(result.fmax_by_seed.values())
    assert result.clocks["clk"]["asked_mhz"] == pytest.approx(150, rel=1e-3)
    assert result.variant in ("nowidelut", "default")


def test_a_memory_that_explodes_is_reported(place):
    path = write(place, Exploding(), "exploding")
    row = measure(path, "exploding", seeds=2, out_dir=place / "ooc")
    assert row["exploded"] == ["table"]
    (line,) = row["memories"]
    assert line.startswith("table: 64 x 8 = 512 bits became 512 flip-flops (1 read and 2 write")
    assert row["ff"] >= 512
    assert row["fmax_median_mhz"] <= row["fmax_mhz"] == max(row["fmax_by_seed"].values())
    assert (place / "ooc" / "nowidelut-s2.nextpnr.log").is_file()

    result = synth(path, "ulx3s-85f")
    assert result.out_of_context
    assert result.warnings == (line,)
    with pytest.raises(UserError, match=r"no bitstream: 23 port bits of exploding have no pin on "):
        synth(path, "ulx3s-85f", bitstream=True)


@pytest.mark.parametrize("enable", [False, True])
def test_a_register_behind_a_block_ram_moves_into_it(place, enable):
    path = write(place, Table(enable=enable), f"table{enable}")
    fast, plain = synthesise([path], None, place / "table", variants=["nowidelut", "plain"])
    assert plain.ff - fast.ff == 16
    (moved,), (kept,) = fast.memories, plain.memories
    assert (moved.output_register, kept.output_register) == (True, False)
    assert "in 1 block RAM, with output register" in moved.sentence()
    module = json.loads(fast.path.read_text())["modules"][fast.top]
    (ram,) = [cell for cell in module["cells"].values() if cell["type"] == "DP16KD"]
    side = "A" if ram["parameters"]["REGMODE_A"] == "OUTREG" else "B"
    assert ram["parameters"][f"REGMODE_{side}"] == "OUTREG"
    assert ram["connections"][f"OCE{side}"] == ram["connections"][f"CE{side}"]
    assert (ram["connections"][f"OCE{side}"] == ["1"]) == (not enable)
    if not enable:
        speeds = [
            place_and_route(net, Device(), place / "table", freq_mhz=250, out_of_context=True)
            for net in (fast, plain)
        ]
        assert speeds[0][0].fmax_mhz > 1.4 * speeds[1][0].fmax_mhz


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"reset_less": False}, "the register behind it has a reset (give it reset_less=True)"),
        ({"exact": True}, "its output does not go straight and only into a register"),
    ],
)
def test_why_a_register_stays_where_it_is(place, options, why):
    path = write(place, Table(**options), "kept" + "".join(options))
    (netlist,) = synthesise([path], None, place / "kept")
    (table,) = netlist.memories
    assert (table.output_register, table.no_output_register_because) == (False, why)
    assert table.collisions == ("exact" in options)
    assert ("no_rw_check" in table.sentence()) == table.collisions


def _block_ram(**changes):
    """A netlist of one 1-bit-used block RAM read into one flip-flop, with changes by path."""
    directions = {"CLKB": "input", "CEB": "input", "OCEB": "input", "RSTB": "input"}
    pins = {"CLKB": [2], "CEB": ["1"], "OCEB": ["1"], "RSTB": ["0"], "DOB0": [3]}
    register = {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "CE": "input"},
        "connections": {"CLK": [2], "DI": [3], "LSR": ["0"], "CE": [9], "Q": [4]},
    }
    register["port_directions"]["Q"] = "output"
    ram = {
        "type": "DP16KD",
        "parameters": {"DATA_WIDTH_A": "10010", "DATA_WIDTH_B": "10010"},
        "port_directions": {**directions, "DOB0": "output"},
        "connections": pins,
    }
    module = {"cells": {"m.0.0": ram, "q": register}, "ports": {}}
    for path, value in changes.items():
        *way, last = path.split("__")
        place = module
        for key in way:
            place = (
                place["cells"]["m.0.0"] if key == "ram" else place.get(key) or place["cells"][key]
            )
        place[last] = value
    return module


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"q__connections__LSR": [7]}, "has a reset"),
        ({"q__parameters__REGSET": "SET"}, "starts at one"),
        ({"q__connections__CLK": [8]}, "another clock"),
        ({"q__parameters__CLKMUX": "INV"}, "another clock"),
        ({"q__parameters__CEMUX": "INV"}, "several clock enables"),
        ({"ram__parameters__CLKBMUX": "INV"}, "its clock is inverted"),
        ({"ram__connections__RSTB": [7]}, "its read port has a reset"),
        ({"ram__connections__CEB": [7]}, "its enable differs"),
        ({"ports": {"o": {"direction": "output", "bits": [3]}}}, "straight and only"),
        ({"q__connections__DI": [3, 3]}, "straight and only"),
    ],
)
def test_only_an_equal_circuit_is_made(change, why):
    module = _block_ram(**change)
    before = json.dumps(module)
    (reason,) = absorb(module).values()
    assert why in reason
    assert json.dumps(module) == before


def test_the_enable_of_the_register_becomes_that_of_the_output():
    module = _block_ram(q__parameters__CEMUX="CE")
    assert absorb(module) == {"m.0.0": ""}
    ram = module["cells"]["m.0.0"]
    assert (ram["connections"]["OCEB"], ram["connections"]["DOB0"]) == ([9], [4])
    assert ram["parameters"]["REGMODE_B"] == "OUTREG"
    assert list(module["cells"]) == ["m.0.0"]
    assert absorb(module) == {}


def test_memory_files_are_found_and_part_of_the_cache_key(place):
    folder = place / "files" / "rtl"
    folder.mkdir(parents=True)
    path = folder / "rom.v"
    path.write_text(
        "module rom(input clk, input [8:0] a, output reg [7:0] q);\nreg [7:0] t [0:511];\n"
        'initial $readmemh("rtl/rom.mem", t);\nalways @(posedge clk) q <= t[a];\nendmodule\n'
    )
    with pytest.raises(UserError, match=r"rom\.v reads memory file rtl/rom\.mem, which is not"):
        synthesise([path], "rom", place / "rom")
    netlists = []
    for factor in (37, 41):
        words = [f"{factor * index * index % 251:02x}\n" for index in range(512)]
        (folder / "rom.mem").write_text("".join(words))
        (netlist,) = synthesise([path], "rom", place / "rom")
        assert netlist.bram == 1
        netlists.append(netlist.path.read_text())
    assert netlists[0] != netlists[1]


def test_an_overflow_names_the_resource_the_excess_and_the_knob(place):
    path = place / "large.v"
    path.write_text(
        "module large(input clk, input [19:0] a, input [7:0] d, input we, output reg [7:0] q);\n"
        "reg [7:0] t [0:131071];\n"
        "always @(posedge clk) begin if (we) t[a[16:0]] <= d; q <= t[a[16:0]]; end\nendmodule\n"
    )
    with pytest.raises(DoesNotFit) as caught:
        synth(path, "ulx3s-25f")
    assert str(caught.value) == (
        "large does not fit ulx3s-25f: needs 64 block RAMs of 56 (over by 8): use fewer weight "
        "bits, prune, or use fewer cores, or the board ulx3s-85f"
    )
    assert isinstance(caught.value, CheckFailed)
    assert (caught.value.result.bram, caught.value.result.fits) == (64, False)


def test_a_bitstream_that_would_miss_its_clock_is_refused(place):
    path = place / "slow.v"
    path.write_text(
        "module slow(input clk, input uart_rx, output reg uart_tx);\nreg [31:0] x; reg [15:0] y;\n"
        "always @(posedge clk) begin x <= {x, uart_rx}; y <= x[15:0] / x[31:16]; uart_tx <= ^y;\n"
        "end\nendmodule\n"
    )
    with pytest.raises(CheckFailed, match=r"no bitstream: clock clk reaches \d.* runs at 25 MHz"):
        synth(path, "ulx3s-85f", bitstream=True)


def test_wrong_input_is_one_clear_line(place):
    with pytest.raises(UserError, match=r"nothing does not exist; give the folder"):
        synth(place / "nothing")
    (place / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no Verilog \(rtl/\*\.v\); run `nervure"):
        synth(place / "empty")
    broken = place / "broken.v"
    broken.write_text("module broken(input clk; endmodule\n")
    with pytest.raises(CheckFailed, match=r"^Yosys stopped: syntax error"):
        synth(broken)
    with pytest.raises(UserError, match="effort 'low' is unknown; use one of normal, high"):
        synth(broken, effort="low")
    with pytest.raises(UserError, match="variant 'x' is unknown; use one of nowidelut, default"):
        synthesise([broken], None, place, variants=["x"])
    with pytest.raises(UserError, match=r"Verilog file gone\.v does not exist"):
        synth([place / "gone.v"])


def test_missing_tools_say_how_to_install_them(artefact, monkeypatch):
    monkeypatch.setenv("PATH", "")
    real = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, *rest: None if "nextpnr" in name else real(name, *rest)
    )
    with pytest.raises(ToolMissing) as caught:
        synth(artefact)
    assert str(caught.value).startswith("nextpnr-ecp5 is not installed; run: pip install yowasp-")
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None)
    with pytest.raises(ToolMissing, match="Yosys is not installed; run: pip install pyosys"):
        synth(artefact)


def test_seeds_run_apart_and_are_ordered(artefact, place):
    (netlist,) = synthesise([artefact / "rtl" / "blinker.v"], "blinker", place / "seeds")
    placed = place_and_route(
        netlist, Device(), place / "seeds", freq_mhz=100, seeds=(3, 1), out_of_context=True
    )
    assert [item.seed for item in placed] == [3, 1]
    assert min(p.fmax_mhz for p in placed) <= median_mhz(placed) <= best(placed).fmax_mhz
    assert all(item.config is None for item in placed)


def test_fewest_luts_within_five_percent_of_the_fastest_win():
    rows = [{"comb": 50, "fmax_mhz": 90.0}, {"comb": 60, "fmax_mhz": 96.0}]
    rows.append({"comb": 70, "fmax_mhz": 100.0})
    assert choose(rows)["comb"] == 60


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("core0.acc_TRELLIS_FF_Q_3_DI_LUT4_Z", "core0.acc"),
        ("core0.weights.0.0", "core0.weights"),
        ("sum_CCU2C_S0$ccu2_comb0", "sum"),
        ("$abc$123$auto$x", "unnamed logic"),
    ],
)
def test_cell_names_are_those_of_the_design(cell, name):
    assert simple_name(cell) == name


def test_a_path_is_told_in_words():
    def step(kind, delay, start, end):
        ends = [dict(zip(("cell", "port"), item.split("/"), strict=True)) for item in (start, end)]
        return {"type": kind, "delay": delay, "from": ends[0], "to": ends[1]}

    steps = [
        step("clk-to-q", 5.0, "w.0.0/DOA3", "w.0.0/DOA3"),
        step("routing", 1.0, "w.0.0/DOA3", "s_LUT4_Z/A"),
        step("logic", 0.25, "s_LUT4_Z/A", "s_LUT4_Z/F"),
        step("routing", 0.5, "s_LUT4_Z/F", "s_CCU2C_S0$ccu2_comb0/A"),
        step("logic", 0.5, "s_CCU2C_S0$ccu2_comb0/A", "s_CCU2C_S0$ccu2_comb0/FCO"),
        step("setup", 0.25, "acc_TRELLIS_FF_Q/CE", "acc_TRELLIS_FF_Q/CE"),
    ]
    kinds = {"w.0.0": "DP16KD", "s_LUT4_Z": "LUT4", "s_CCU2C_S0": "CCU2C"}
    told = describe({"path": steps}, {**kinds, "acc_TRELLIS_FF_Q": "TRELLIS_FF"})
    assert told.words == (
        "from block RAM w output through 1 LUT, 1 adder (1 carry step) to register acc clock "
        "enable: 7.5 ns = 6.0 logic + 1.5 routing"
    )
    assert told.luts == 1


def test_long_work_is_never_silent(monkeypatch):
    import time

    monkeypatch.setattr("codesign.synth.process._HEARTBEAT_SECONDS", 0.05)
    said = []
    with heartbeat("work", said.append):
        time.sleep(0.2)
    assert said[:2] == ["work", "work, 0 s"]


def test_a_wire_that_is_named_like_a_bit_of_another_gets_another_name(place):
    """abc9 names bits so and puts its result back by name: it stopped at crossbar fabrics."""
    path = place / "parts.v"
    path.write_text(
        "module parts(input [1:0] a, input [2:0] b, output [1:0] y);\n"
        "(* keep *) wire [1:0] x = a + 1;\n(* keep *) wire [2:0] \\x[0] = b + 1;\n"
        "(* keep *) wire x_0_ = b[0];\nassign y = x ^ \\x[0] [2:1];\nendmodule\n"
    )
    code = (
        "from pyosys import libyosys as ys\nfrom codesign.synth.yosys_job import _rename_parts\n"
        f"d = ys.Design()\nys.run_pass('read_verilog {path}', d)\nm = d.top_module()\n"
        "def names():\n"
        "    return sorted(n for w in m.wires_.values() if (n := w.name.str())[0] == chr(92))\n"
        "before = names()\n_rename_parts(ys, m)\nprint(before, names(), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = (ast.literal_eval(line) for line in done.stdout.splitlines()[-2:])
    assert before == sorted(["\\a", "\\b", "\\y", "\\x", "\\x[0]", "\\x_0_"])
    assert len(after) == 6
    assert {"\\a", "\\b", "\\y", "\\x", "\\x_0_"} < set(after)
    assert not any("[" in name for name in after)
