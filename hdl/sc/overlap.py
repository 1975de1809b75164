"""How many ones two words share, encoded as a random bit."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import csd
from hdl.params.neuron import bits_for
from hdl.params.sc.attention import DRAW_BITS, overlap_latency
from hdl.params.sc.lfsr import LfsrParams
from hdl.sc.lfsr import Lfsr

__all__ = ["Overlap", "OverlapEncoder", "delayed", "overlap"]


def delayed(m, value, cycles: int, name: str):
    """`value` and its delays by 1 .. `cycles` cycles; 0 before."""
    stages = [value]
    for k in range(cycles):
        stage = Signal.like(stages[-1], name=f"{name}_{k + 1}")
        m.d.sync += stage.eq(stages[-1])
        stages.append(stage)
    return stages


def overlap(m, a, b):
    """(number of ones in a & b, latency): a tree of adders, a register after each level."""
    both = list(zip(a, b, strict=True))
    level = []
    for k in range(0, len(both) - 1, 2):
        (a0, b0), (a1, b1) = both[k : k + 2]
        level.append(Cat((a0 & b0) ^ (a1 & b1), a0 & b0 & a1 & b1))
    if len(both) % 2:
        level.append(both[-1][0] & both[-1][1])
    latency = 0
    while True:
        registers = []
        for k, number in enumerate(level):
            register = Signal(len(number), name=f"ones_{latency}_{k}", reset_less=True)
            m.d.sync += register.eq(number)
            registers.append(register)
        latency += 1
        if len(registers) == 1:
            return registers[0], latency
        level = [_sum(*registers[k : k + 2]) for k in range(0, len(registers), 2)]


def _sum(a, b=None):
    """a + b; of two bits each in gates, which take less than a carry chain."""
    if b is None or len(b) == 0:
        return a
    if len(a) > 2 or len(b) > 2:
        return a + b
    total, carry = [], None
    for k in range(max(len(a), len(b))):
        bits = [x[k] for x in (a, b) if k < len(x)] + ([] if carry is None else [carry])
        total.append(Cat(bits).xor())
        pairs = [x & y for n, x in enumerate(bits) for y in bits[:n]]
        carry = Cat(pairs).any() if pairs else None
    return Cat(*total, carry) if carry is not None else Cat(*total)


def _signed_sum(x, y=None):
    """The sum of terms (is it subtracted, its amount), as such a term; a lone one stays."""
    if y is None:
        return x
    if x[0] == y[0]:
        return x[0], x[1] + y[1]
    return False, (y[1] - x[1] if x[0] else x[1] - y[1])


class Overlap(wiring.Component):
    """hit = (draw * factor) < (ones of (a & b) << (16 + gain)), a pipeline of one a cycle.

    Parameters
    ----------
    width : of the words.
    most : the factor; with `counted` the greatest value of the input `factor`.
    gain : see above.

    Members
    -------
    a, b : the words, `latency` cycles before `hit`.
    draw, factor : `draw_latency` cycles before `hit`.
    """

    def __init__(self, width: int, most: int, gain: int, *, counted: bool = False):
        self.width, self.most, self.gain, self.counted = width, most, gain, counted
        self.draw_latency = bits_for(len(csd(most)))
        if counted:
            self.draw_latency = 1 + bits_for(most.bit_length())
        self.latency = overlap_latency(width, most if counted else 0)
        super().__init__(
            {
                "a": In(width),
                "b": In(width),
                "draw": In(DRAW_BITS),
                "factor": In(range(most + 1)),
                "hit": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ones, latency = overlap(m, self.a, self.b)
        ones = delayed(m, ones, self.latency - latency, "late")[-1]
        # draw * factor is a sum of shifted draws, with a register after each level of adders.
        if self.counted:
            terms = []
            for k, bit in enumerate(self.factor):
                gated = Signal(DRAW_BITS, name=f"gated_{k}", reset_less=True)
                with m.If(bit):  # a flip-flop with a reset: no logic
                    m.d.sync += gated.eq(self.draw)
                with m.Else():
                    m.d.sync += gated.eq(0)
                terms.append((False, gated << k))
        else:
            terms = [(sign < 0, self.draw << power) for sign, power in csd(self.most)]
        while len(terms) > 1:
            sums = [_signed_sum(*terms[k : k + 2]) for k in range(0, len(terms), 2)]
            terms = []
            for negative, value in sums:
                register = Signal(value.shape(), name="part", reset_less=True)
                m.d.sync += register.eq(value)
                terms.append((negative, register))
        product = terms[0][1]
        # x < n * 2**k says the same as floor(x / 2**k) < n.
        shift = DRAW_BITS + self.gain
        top = (((1 << DRAW_BITS) - 1) * self.most >> shift).bit_length()
        m.d.comb += self.hit.eq(product[shift : shift + top] < ones)
        return m


class OverlapEncoder(wiring.Component):
    """`Overlap` with a generator: every valid pair of words takes the generator's next draw.

    Parameters
    ----------
    width, most, gain : see `Overlap`.
    generator : an LFSR of 16 steps or more; a draw is its low 16 bits.
    counted : the factor counts: 1 after the first `following`, `most` after the `most`-th, then
        from 1 again; `following` comes the cycle before the first pair it counts for.

    Members
    -------
    a, b, i_valid : a pair of words.
    hit, o_valid : its bit, `latency` cycles later.
    following : see `counted`.
    restart : the generator begins again; while no pair is on its way.
    """

    def __init__(
        self, width: int, most: int, gain: int, generator: LfsrParams, *, counted: bool = False
    ):
        self._overlap = Overlap(width, most, gain, counted=counted)
        self.most, self.generator, self.counted = most, generator, counted
        self.latency = self._overlap.latency
        super().__init__(
            {
                "a": In(width),
                "b": In(width),
                "i_valid": In(1),
                "following": In(1),
                "hit": Out(1),
                "o_valid": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.overlap = compared = self._overlap
        m.submodules.lfsr = lfsr = Lfsr(self.generator)
        begin = self.latency - compared.draw_latency  # the draw comes so much later than the words
        valid = delayed(m, self.i_valid, self.latency, "valid")
        m.d.comb += [
            compared.a.eq(self.a),
            compared.b.eq(self.b),
            compared.draw.eq(lfsr.value),
            lfsr.en.eq(valid[begin]),
            lfsr.clear.eq(self.restart),
            self.hit.eq(compared.hit),
            self.o_valid.eq(valid[-1]),
        ]
        if self.counted:
            factor = Signal(range(self.most + 1), init=self.most)
            with m.If(delayed(m, self.following, begin, "following")[-1]):
                m.d.sync += factor.eq(Mux(factor == self.most, 1, factor + 1))
            m.d.comb += compared.factor.eq(factor)
        return m
