"""uMUL: a stream times a held number."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.umul import UMulParams
from hdl.sc.sobol import times_matrix
from hdl.sc.unit import unit_signature

__all__ = ["UMul"]


def below(numbers, thresholds):
    """(less, equal) of two numbers of up to 4 bits, two bits at a time."""
    less, equal = numbers[:2] < thresholds[:2], numbers[:2] == thresholds[:2]
    if len(numbers) > 2:
        high_less, high_equal = below(numbers[2:], thresholds[2:])
        less, equal = high_less | (high_equal & less), high_equal & equal
    return less, equal


class UMul(wiring.Component):
    """A multiplier that needs no decorrelation (equation: hdl/params/sc/umul.py).

    The comparison takes two cycles: four bits at a time into registers, then these into the
    output. Latency 2; in bipolar and for dimensions above 1 it is 3: first the number, of the
    generator whose turn it is, goes into a register. The registers have no reset: what they hold
    before the first result does not matter.

    Parameters
    ----------
    params : width, encoding, dimension of the Sobol sequence.

    Members
    -------
    a : a stream of any correlation.
    b : binary, constant during a run.
    y : the product.
    """

    def __init__(self, params: UMulParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        bipolar = p.encoding == "bipolar"
        number = self._number(m, self.a)
        turn, top, low = self.a, self.b[p.width], self.b[: p.width]
        if bipolar:
            number = Mux(self.a, number, self._number(m, ~self.a))
            # The threshold is b + 2**(width - 1): the bit of that weight inverted, and a carry
            # into the highest bit, which is set for the largest b only.
            top, low = ~top & low[-1], low ^ (1 << (p.width - 1))
        if p.staged:
            held, turn = Signal(p.width, reset_less=True), Signal(reset_less=True)
            with m.If(self.en):
                m.d.sync += [held.eq(number), turn.eq(self.a)]
            number = held

        digits = -(-p.width // 4)
        less, equal = Signal(digits, reset_less=True), Signal(digits, reset_less=True)
        of_turn, y = Signal(reset_less=True), Signal(reset_less=True)
        for k in range(digits):
            part = slice(4 * k, min(4 * k + 4, p.width))
            is_less, is_equal = below(number[part], low[part])
            with m.If(self.en):
                m.d.sync += [
                    less[k].eq(is_less | top if k == digits - 1 else is_less),
                    equal[k].eq(is_equal),
                ]
        passes = less[0]
        for k in range(1, digits):
            passes = less[k] | (equal[k] & passes)
        with m.If(self.en):
            m.d.sync += [
                of_turn.eq(turn),
                y.eq(passes ^ ~of_turn if bipolar else passes & of_turn),
            ]
        m.d.comb += self.y.eq(y)
        return m

    def _number(self, m, advance):
        """The number of a generator that goes on in cycles with `advance`."""
        p = self.params
        count = Signal(p.width)
        # An adder's carry chain of so few bits takes more cells than this.
        after = Cat(count[k] ^ count[:k].all() for k in range(p.width))
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        with m.Elif(self.en & advance):
            m.d.sync += count.eq(after)
        return times_matrix(p.source.directions, count) ^ p.source.shift
