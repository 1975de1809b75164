"""The probabilistic bit."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.pbit import PBitParams, SigmoidTable
from hdl.sc.lfsr import Lfsr
from hdl.sc.rom import rom
from hdl.sc.unit import unit_signature

__all__ = ["PBit", "table_index"]


def table_index(current, table: SigmoidTable):
    """(address of the word for a signed `current`, whether it is beyond the table's end)."""
    sign = current[-1]
    half = table.half_step
    magnitude = (current.as_unsigned() ^ sign.replicate(len(current))) + Mux(sign, half + 1, half)
    index = magnitude >> table.step_bits
    return index[: table.address_bits], index[table.address_bits :].any()


class PBit(wiring.Component):
    """A spin a cycle from a current a cycle (equation: hdl/params/sc/pbit.py).

    Stage 1 has the table's address, stage 2 its word, which is compared with the draw.

    Parameters
    ----------
    params : width of the current, table, generator.

    Members
    -------
    current : signed, with `params.table.fraction` fraction bits.
    m : the spin, 1 for +1, 2 enabled cycles later.
    en, clear : the next current, and draw; back to the first draw.
    """

    def __init__(self, params: PBitParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        table = p.table
        m.submodules.generator = generator = Lfsr(p.generator)
        m.d.comb += [generator.en.eq(self.en), generator.clear.eq(self.clear)]
        draw = generator.value[: table.random_bits]

        address, beyond = table_index(self.current, table)
        odds = rom(m, "odds", address, self.en, table.words, table.random_bits)
        # (negative, beyond the end) of both stages.
        kind, kinds = Signal(2, reset_less=True), Signal(2, reset_less=True)
        with m.If(self.en):
            m.d.sync += [kind[0].eq(self.current[-1]), kind[1].eq(beyond), kinds.eq(kind)]
        against = (draw + odds)[-1] & ~kinds[1]  # a carry
        m.d.comb += self.m.eq(~(kinds[0] ^ against))
        return m
