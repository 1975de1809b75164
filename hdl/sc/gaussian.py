"""The Gaussian source."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.gaussian import GaussianParams
from hdl.sc.lfsr import Lfsr
from hdl.sc.rom import rom
from hdl.sc.unit import unit_signature

__all__ = ["Gaussian"]


class Gaussian(wiring.Component):
    """A normally distributed number a cycle (equation: hdl/params/sc/gaussian.py).

    Parameters
    ----------
    params : method, size, generators.

    Members
    -------
    z : the number, `params.latency` enabled cycles after its draw.
    en, clear : next number; back to the first.
    """

    def __init__(self, params: GaussianParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        draws = []
        for number, (generator, bits) in enumerate(p.generators):
            m.submodules[f"generator_{number}"] = lfsr = Lfsr(generator)
            m.d.comb += [lfsr.en.eq(self.en), lfsr.clear.eq(self.clear)]
            draws.append(lfsr.value[:bits])
        (self._table if p.method == "table" else self._sum)(m, draws)
        return m

    def _table(self, m, draws):
        p = self.params
        draw = draws[0] ^ draws[1]
        address, sign = draw[: p.address_bits], draw[p.address_bits]
        word = rom(m, "words", address, self.en, p.words, p.bits - 1)
        signs = Signal(2, reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                signs.eq(Cat(sign, signs[0])),
                self.z.eq((word ^ signs[1].replicate(p.bits)) + signs[1]),
            ]

    def _sum(self, m, draws):
        """A tree of adders with a register after every second level."""
        b = self.params.fraction
        words = [draw[k : k + b] for draw in draws for k in range(0, len(draw), b)]
        terms = [plus - minus for plus, minus in zip(words[::2], words[1::2], strict=False)]
        if self.params.terms == 3:
            # 2 * u2 - 2**b + 1: the top bit inverted is a sign, and a 1 behind the point.
            terms = [terms[0] << 1, Cat(1, words[2][:-1], ~words[2][-1]).as_signed()]
        level = 1
        while len(terms) > 1:
            terms = [sum(terms[k + 1 : k + 2], terms[k]) for k in range(0, len(terms), 2)]
            level += 1
            if level % 2 == 0:
                held = [
                    Signal(term.shape(), name=f"sum_{level}_{k}", reset_less=True)
                    for k, term in enumerate(terms)
                ]
                with m.If(self.en):
                    m.d.sync += [to.eq(term) for to, term in zip(held, terms, strict=True)]
                terms = held
        m.d.comb += self.z.eq(terms[0])
