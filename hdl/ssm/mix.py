"""The sum of a neuron's states."""

from amaranth.hdl import Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.params.neuron import bits_for
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.sc.overlap import delayed
from hdl.ssm.recurrence import register

__all__ = ["Mix"]


class Mix(wiring.Component):
    """acc of hdl/params/ssm/diagonal.py from the states of a neuron, a word of them a cycle.

    Two multipliers for each state of a word, one if poles are real; then a tree of adders.

    Parameters
    ----------
    params : the states.

    Members
    -------
    states, mix : re, im of the word's states, and cr, ci of them, lane after lane.
    valid, last : there is a word, and it is the neuron's last one.
    done, acc : the sum, `latency` cycles after the last word.
    """

    def __init__(self, params: DiagonalParams):
        self.params = params
        d, lanes = params.diagonal, params.lanes
        self.latency = 1 + (d.parts - 1) + bits_for(lanes) + 1
        super().__init__(
            {
                "states": In(lanes * d.parts * d.state_bits),
                "mix": In(lanes * d.parts * d.mix_bits),
                "valid": In(1),
                "last": In(1),
                "done": Out(1),
                "acc": Out(signed(d.acc_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        h, d = self.params, self.params.diagonal
        terms = [
            register(
                m,
                f"product_{k}",
                self.states.word_select(k, d.state_bits).as_signed()
                * self.mix.word_select(k, d.mix_bits).as_signed(),
            )
            for k in range(h.lanes * d.parts)
        ]
        if not d.real:
            pairs = zip(terms[0::2], terms[1::2], strict=True)
            terms = [register(m, f"term_{k}", re - im) for k, (re, im) in enumerate(pairs)]
        while len(terms) > 1:
            pairs = enumerate(zip(terms[0::2], terms[1::2], strict=True))
            terms = [register(m, f"sum_{len(terms)}_{k}", a + b) for k, (a, b) in pairs]

        ahead = self.latency - 1
        valid, last = delayed(m, self.valid, ahead, "valid"), delayed(m, self.last, ahead, "last")
        half = (1 << d.mix_shift) >> 1
        total = Signal(signed(d.acc_bits + d.mix_shift + 1))
        before = Const(half, signed(len(total)))
        if h.words > 1:
            before = Signal(signed(len(total)), name="before", init=half)
            with m.If(valid[-1]):
                m.d.sync += before.eq(total)
            with m.If(last[-1]):
                m.d.sync += before.eq(half)
        m.d.comb += total.eq(before + terms[0])
        m.d.sync += [self.acc.eq(total >> d.mix_shift), self.done.eq(last[-1])]
        return m
