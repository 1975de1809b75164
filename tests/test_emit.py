"""Verilog and memory files of a component, and what Verilator makes of them."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.emit import INLINE_WORDS, emit_verilog
from hdl.memory import table
from sim.verilated import Verilated

WIDTHS = [1, 4, 8, 31, 32, 33, 64, 72]


class Roms(wiring.Component):
    """Memories side by side; a word in is an address, a word out what one of them holds there."""

    def __init__(self, contents: list[tuple[int, list[int]]], chosen: int = 0) -> None:
        self.contents, self.chosen = contents, chosen
        super().__init__({"i": In(stream.Signature(12)), "o": Out(stream.Signature(80))})

    def elaborate(self, platform):
        m = Module()
        fresh = self.o.valid
        m.d.comb += self.i.ready.eq(~fresh | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += fresh.eq(self.i.valid)
        for number, (bits, words) in enumerate(self.contents):
            read, _ = table(m, f"rom_{number}", depth=len(words), bits=bits, init=words)
            m.d.comb += [read.addr.eq(self.i.payload), read.en.eq(self.i.ready)]
            if number == self.chosen:
                m.d.comb += self.o.payload.eq(read.data)
        return m


def random_words(seed: int, bits: int, count: int) -> list[int]:
    draw = random.Random(f"words {seed} {bits} {count}")
    return [draw.getrandbits(bits) for _ in range(count)]


def read_back(component: Roms, folder, count: int) -> list[int]:
    """What a Verilated model reads at the first `count` addresses."""
    for name, text in emit_verilog(component, "roms").items():
        (folder / name).write_text(text)
    built = Verilated.build(
        [folder / "roms.v"], "roms", optimise=False, data_files=sorted(folder.glob("*.mem"))
    )
    with built.new() as model:
        model.reset()
        out = model.stream(np.arange(count, dtype=np.uint64).reshape(-1, 1), until=count).words_out
    return [sum(int(limb) << (64 * k) for k, limb in enumerate(row)) for row in out]


@pytest.mark.parametrize("bits", WIDTHS)
def test_large_memories_stand_in_files(bits):
    words = random_words(1, bits, INLINE_WORDS + 3)
    files = emit_verilog(Roms([(bits, words)]), "roms")
    assert set(files) == {"roms.v", "roms_0.mem"}
    digits = -(-bits // 4)
    assert files["roms_0.mem"] == "".join(f"{word:0{digits}x}\n" for word in words)
    assert files["roms.v"].count("$readmemh") == 1


@pytest.mark.parametrize("bits", WIDTHS)
def test_small_memories_stand_in_the_verilog(bits):
    words = random_words(2, bits, INLINE_WORDS)
    files = emit_verilog(Roms([(bits, words)]), "roms")
    assert set(files) == {"roms.v"}
    assert files["roms.v"].count(f"= {bits}'h") >= INLINE_WORDS


@pytest.mark.parametrize("value", [0, 0xBEEF])
def test_equal_words_are_filled_by_a_loop(value):
    files = emit_verilog(Roms([(32, [value] * 1000), (16, [value] * 1000)]), "roms")
    assert set(files) == {"roms.v"}
    assert files["roms.v"].count("for (n = 0; n < 1000; n = n + 1)") == 2
    assert len(files["roms.v"]) < 5000


@pytest.mark.parametrize("bits", [1, 32, 33, 72])
def test_verilator_reads_the_same_contents(bits, tmp_path):
    """A file, a fill and an inline memory in one module; each is read back."""
    contents = [
        (bits, random_words(3, bits, 300)),
        (bits, [(1 << bits) - 1] * 300),
        (bits, random_words(4, bits, 7)),
        (bits, [*random_words(5, bits, 10), *[0] * 290]),
    ]
    for chosen, (_, words) in enumerate(contents):
        if bits in (1, 33) and chosen:
            continue  # one build is enough
        folder = tmp_path / str(chosen)
        folder.mkdir()
        assert read_back(Roms(contents, chosen), folder, len(words)) == words, chosen


def test_memories_with_parts_and_the_same_name():
    """Two submodules with a memory of one name each: two files, each with its own words."""

    class Part(wiring.Component):
        o: Out(16)
        a: In(9)

        def __init__(self, words):
            self.words = words
            super().__init__()

        def elaborate(self, platform):
            m = Module()
            shape = data.ArrayLayout(8, 2)
            init = [[w & 255, w >> 8] for w in self.words]
            m.submodules.memory = memory = Memory(shape=shape, depth=len(init), init=init)
            read = memory.read_port()
            m.d.comb += [read.addr.eq(self.a), self.o.eq(read.data)]
            return m

    class Two(wiring.Component):
        a: In(9)
        o: Out(16)

        def elaborate(self, platform):
            m = Module()
            m.submodules.x = x = Part(first)
            m.submodules.y = y = Part(second)
            m.d.comb += [x.a.eq(self.a), y.a.eq(self.a), self.o.eq(x.o ^ y.o)]
            return m

    first, second = random_words(6, 16, 300), random_words(7, 16, 400)
    files = emit_verilog(Two(), "two")
    texts = [files["two_0.mem"], files["two_1.mem"]]
    assert sorted(texts) == sorted("".join(f"{w:04x}\n" for w in ws) for ws in (first, second))
    assert '$readmemh("two_0.mem", ' in files["two.v"]
    assert '$readmemh("two_1.mem", ' in files["two.v"]


def test_same_component_same_bytes():
    contents = [(20, random_words(8, 20, 400)), (9, [3] * 500), (5, random_words(9, 5, 12))]
    assert emit_verilog(Roms(contents), "roms") == emit_verilog(Roms(contents), "roms")


def test_no_path_of_the_machine_stands_in_the_text():
    text = emit_verilog(Roms([(8, [1, 2, 3]), (4, list(range(16)))]), "roms")["roms.v"]
    assert "module roms" in text
    assert "src =" not in text
    assert ".py" not in text
