"""The sums of stochastic dendrites: counting, early termination, scaling."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.neuron.ports import lead_layout
from hdl.params.neuron import CoreParams
from hdl.params.sc.dense import MARGIN_BITS, TOLERANCE_BITS, DenseParams
from hdl.sc.dense_decide import DenseDecide
from hdl.sc.popcount import popcount, popcount_latency

__all__ = ["TAG", "DenseSums", "scale_range", "sums_latency", "tolerance_bits"]

#: Levels of full adders between registers.
LEVELS = 3

#: What comes with the product bits of all lanes: they count; they are the signs; they are the first
#: of a slot; the sum is looked at behind them; and it is final.
TAG = data.StructLayout({"valid": 1, "sign": 1, "first": 1, "check": 1, "last": 1})


def scale_range(d: DenseParams) -> range:
    """Left shifts that turn a count into a sum."""
    return range(d.streams.value_bits + d.streams.weight_bits + 1)


def tolerance_bits(d: DenseParams) -> int:
    """Bits of a tolerance that matter: no difference of two sums has more."""
    return min(d.columns.bit_length() + max(scale_range(d)) + 1, TOLERANCE_BITS)


def sums_latency(d: DenseParams) -> int:
    """Cycles from bits with the tag "last" to `ready`; to `done` in an early termination 1 more."""
    return popcount_latency(d.lanes, LEVELS) + 3


class DenseSums(wiring.Component):
    """Adds the lanes' product bits up for one slot after the other (hdl/params/sc/dense.py).

    With b the bits of the product stream and s those of the signs, the bits of a lane are b ^ s,
    and popcount(b ^ s) - popcount(s) is the signed sum of b over the lanes. The signs come first,
    once for each tile and chunk; their count is held.

    Parameters
    ----------
    params : the core; its dendrites are `DenseParams`.

    Members
    -------
    bits, tag : product bits of a cycle and what they are (`TAG`).
    begin : pulse, a pass begins; `early` to `always` hold until its end.
    early : level, stop when two checks in a row differ by no more than `tolerance`.
    always : level, they never differ by more.
    settles, decides, margin, lead : only if the core is built with a margin: two such checks end a
        sum; a check beyond the margin ends it; the margin; of the neuron whose sum is counted
        (hdl/sc/dense_decide.py).
    scale : shift of the first check's count; each further check has one less.
    done : pulse, in an early termination: the slot's sum is decided, bits on their way are dropped.
    ready : level, a sum is there.
    take : take it.
    sum : the sum, 2 cycles later; 0 if there was none.
    """

    def __init__(self, params: CoreParams):
        d: DenseParams = params.dendrites  # type: ignore[assignment]
        self.params, self.dense = params, d
        s = d.streams
        #: Whether there is anything to terminate early.
        self.can_stop = s.first < s.source_bits
        super().__init__(
            {
                "bits": In(d.lanes),
                "tag": In(TAG),
                "begin": In(1),
                "early": In(1),
                "scale": In(scale_range(d)),
                "tolerance": In(tolerance_bits(d)),
                "always": In(1),
                "done": Out(1),
                "ready": Out(1),
                "take": In(1),
                "sum": Out(signed(params.acc_bits)),
            }
            | (
                {
                    "settles": In(1),
                    "decides": In(1),
                    "margin": In(MARGIN_BITS - 1),
                    "lead": In(lead_layout(params)),
                }
                if d.decides
                else {}
            )
        )

    def elaborate(self, platform):
        m = Module()
        d = self.dense
        ones = popcount(m, self.bits, levels=LEVELS)
        tag = self.tag
        for k in range(popcount_latency(d.lanes, LEVELS)):
            held = Signal(TAG, name=f"tag_{k + 1}")
            m.d.sync += held.eq(tag)
            with m.If(self.done):
                m.d.sync += held.valid.eq(0)
            tag = held

        # Less the signs; added.
        signs = Signal.like(ones, reset_less=True)
        delta = Signal(signed(len(ones) + 1), reset_less=True)
        adding = Signal(TAG)
        with m.If(tag.valid & tag.sign):
            m.d.sync += signs.eq(ones)
        m.d.sync += [
            delta.eq(ones - signs),
            adding.eq(tag),
            adding.valid.eq(tag.valid & ~tag.sign & ~self.done),
        ]
        width = (d.columns << d.streams.source_bits).bit_length() + 1
        count = Signal(signed(width), reset_less=True)
        check, last = Signal(), Signal()
        with m.If(adding.valid):
            m.d.sync += count.eq(Mux(adding.first, 0, count) + delta)
        m.d.sync += [check.eq(adding.valid & adding.check & ~self.done), last.eq(adding.last)]
        if d.decides:
            # A sum may end at its first check already, and the one behind it comes 2 cycles later.
            check &= ~self.done

        # The count of the last check, scaled in two steps.
        counted, scale, now = Signal.like(count), Signal.like(self.scale), Signal.like(self.scale)
        decided = check & last
        m.d.comb += now.eq(self.scale)
        if self.can_stop:
            self._stop(m, check, last, count, counted, now)
            decided = Mux(self.early, self.done, decided)
        with m.If(check):
            m.d.sync += [counted.eq(count), scale.eq(now)]
        with m.If(decided):
            m.d.sync += self.ready.eq(1)
        with m.Elif(self.take):
            m.d.sync += self.ready.eq(0)
        partly = Signal(signed(self.params.acc_bits))
        further = Signal.like(scale[2:])
        m.d.sync += [
            partly.eq(Mux(self.ready, counted << scale[:2], 0)),
            further.eq(scale[2:]),
            self.sum.eq(partly << Cat(Const(0, 2), further)),
        ]
        return m

    def _stop(self, m, check, last, count, counted, now):
        """Compares each check's count with the one before it, in two cycles; drives `done`.

        The next check is at least 3 cycles later: `done` comes in time to drop it.
        """
        s = self.dense.streams
        first_scale = s.value_bits + s.weight_bits - s.first - 1  # of the first comparison
        # sum(k) - sum(k-1) = difference << scale, and n << scale <= t is n <= t >> scale.
        window = Signal(len(self.tolerance) + s.source_bits - s.first - 1)
        tolerance = window[first_scale:]
        again, scale = Signal(), Signal.like(now)
        difference = Signal(signed(len(count) + 2), reset_less=True)
        comparing, against, final = Signal(), Signal(), Signal()
        deciding, matters, least = Signal(), Signal(), Signal()
        below, above = Signal(), Signal()
        settled = matters & (self.always | (below & above))
        if self.dense.decides:
            m.submodules.decide = decide = DenseDecide(self.params, len(count))
            m.d.comb += [
                decide.lead.eq(self.lead),
                decide.on.eq(self.decides),
                decide.margin.eq(self.margin),
                decide.again.eq(again),
                decide.check.eq(check),
                decide.count.eq(count),
            ]
            settled |= decide.beyond
        m.d.comb += [
            now.eq(Mux(self.early, scale, self.scale)),
            self.done.eq(deciding & (least | settled)),
        ]
        m.d.sync += [
            difference.eq(count - (counted << 1)),
            comparing.eq(check & self.early),
            against.eq(again),
            final.eq(last),
            deciding.eq(comparing),
            matters.eq(against),
            least.eq(final),
            below.eq(difference <= tolerance),
            above.eq(difference + tolerance >= 0),
        ]
        with m.If(self.begin | self.done):
            m.d.sync += [again.eq(0), scale.eq(self.scale), window.eq(self.tolerance)]
        with m.Else():
            with m.If(check):
                m.d.sync += [again.eq(1), scale.eq(scale - 1)]
            with m.If(comparing & against):
                m.d.sync += window.eq(window << 1)
        if self.dense.decides:
            m.d.sync += matters.eq(against & self.settles)
