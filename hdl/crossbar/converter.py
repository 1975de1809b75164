"""The converters of an array: from a column's charge to a code."""

from amaranth.hdl import Cat, Const, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.pipeline import held, pick
from hdl.crossbar.ports import array_config
from hdl.memory import configure, table
from hdl.params.crossbar.array import GAIN_BITS, OFFSET_BITS, ArrayMemory, ArrayParams, ReadRange
from hdl.params.neuron import bits_for
from hdl.sc.rom import rom_now

__all__ = ["Converter"]

#: Bits of a charge that one multiplier takes.
LOW = 18


class Converter(wiring.Component):
    """A conversion a cycle (equations: hdl/params/crossbar/array.py), in CONVERT_LATENCY cycles.

    A column and its range pick a gain and an offset; a count has the gain 1. The product comes in
    two parts, of the charge's low and high bits; offset and high part are added in turn.

    Parameters
    ----------
    params : the array.
    items : initial contents of CONVERTER.
    trims : whether they can be written.

    Members
    -------
    config : writes CONVERTER.
    samples : charges of all columns; those of the next cycle count.
    column, range : what is converted.
    code : of CONVERT_LATENCY cycles ago.
    """

    def __init__(self, params: ArrayParams, items: list[int], *, trims: bool = True):
        self.params, self.items, self.trims = params, items, trims
        super().__init__(
            {
                "config": In(array_config(params)),
                "samples": In(params.charge_bits * params.columns),
                "column": In(bits_for(params.columns)),
                "range": In(2),
                "code": Out(params.code_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        column = held(m, "column", self.column)
        kind = held(m, "kind", self.range)
        samples = [self.samples.word_select(c, p.charge_bits) for c in range(p.columns)]
        charge = pick(m, "charge", samples, column)

        # Number of a converter's item, by range and column.
        numbers = [
            k * p.converters + c % p.converters
            for k in range(2)
            for c in range(1 << bits_for(p.columns))
        ]
        address = Cat(column, kind[0])
        number = rom_now(m, "converter", address, numbers, bits_for(2 * p.converters))
        number = held(m, "number", number)
        if self.trims:
            read, write = table(
                m, "settings", depth=2 * p.converters, bits=OFFSET_BITS, parts=2, init=self.items,
                domain="comb",
            )  # fmt: skip
            configure(m, write, self.config, ArrayMemory.CONVERTER, parts=2)
            m.d.comb += read.addr.eq(number)
            setting = read.data
        else:
            words = [
                gain | offset << OFFSET_BITS
                for gain, offset in zip(self.items[::2], self.items[1::2], strict=True)
            ]
            word = rom_now(m, "settings", number, words, 2 * OFFSET_BITS)
            setting = [word[:OFFSET_BITS], word[OFFSET_BITS:]]
        counts = held(m, "counts", kind == ReadRange.COUNT)
        gain = held(m, "gain", Mux(counts, 1 << 16, setting[0][:GAIN_BITS]))
        offset = held(m, "offset", Mux(counts, 0, setting[1]), 2).as_signed()

        low = held(m, "low", charge[:LOW] * gain)
        high = held(m, "high", charge[LOW:] * gain, 2)
        # What is behind the point of the high part is 1/2, for the rounding.
        shifted = held(m, "shifted", low + offset)
        total = held(m, "total", (shifted >> 15) + Cat(1, Const(0, LOW - 16), high))
        above = total[1:].as_signed()
        top = 1 << p.adc_bits
        code = Mux(above < 0, 0, Mux(above >= top, top - 1, above[: p.adc_bits]))
        plain = Mux(held(m, "plain", counts, 4), above[: p.code_bits], code)
        m.d.comb += self.code.eq(held(m, "code", plain))
        return m
