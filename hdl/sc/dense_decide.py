"""Whether the rest of a stream can still matter to a neuron that spikes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import saturate
from hdl.neuron.ports import lead_layout
from hdl.params.neuron import CoreParams
from hdl.params.sc.dense import MARGIN_BITS, DenseParams

__all__ = ["DenseDecide"]


class DenseDecide(wiring.Component):
    """Compares each check's sum and `lead` with the margin (hdl/params/sc/dense.py).

    A check's sum is count << e, with e one less from check to check. Divided by 2**(e + f),
    abs((sum << f) + lead) > margin << (e + f) is, with d = count + (lead >> (e + f)) and r the
    bit "something was shifted out of lead"::

        d + r > margin  or  d < -margin

    `lead` passes a shift by f and is clipped to what can matter, then stands in a window that is
    shifted left with each check: `lead` must be there SETTLE cycles before the first check.

    Parameters
    ----------
    params : the core; its dendrites are `DenseParams` that decide and can stop early.
    count_bits : width of `count`.

    Members
    -------
    lead : of the neuron whose sum is counted; must not change between its first check and `beyond`.
    on, margin : the comparison is made, with this margin.
    again : level, the slot's first check has been.
    check, count : a count to compare.
    beyond : 2 cycles later, the sum has decided.
    """

    #: Cycles from `lead` to the first check.
    SETTLE = 4

    def __init__(self, params: CoreParams, count_bits: int):
        assert isinstance(params.dendrites, DenseParams)
        self.params, self.dense = params, params.dendrites
        super().__init__(
            {
                "lead": In(lead_layout(params)),
                "on": In(1),
                "margin": In(MARGIN_BITS - 1),
                "again": In(1),
                "check": In(1),
                "count": In(signed(count_bits)),
                "beyond": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        s = self.dense.streams
        whole = s.weight_bits + s.value_bits
        fraction = whole - s.first  # bits behind the point at the first check
        value, lost = self._shifted(m)

        # No sum comes within the margin of what is clipped.
        reach = (self.dense.columns << whole) + (255 << fraction) + 1
        value = saturate(value, reach.bit_length() + 1)
        clipped, rest = Signal(signed(len(value)), reset_less=True), Signal(reset_less=True)
        m.d.sync += [clipped.eq(value), rest.eq(lost)]

        width = max(len(clipped) + s.source_bits - s.first, fraction + 1)
        window, odd = Signal(signed(width), reset_less=True), Signal(reset_less=True)
        with m.If(self.check):
            m.d.sync += window.eq(window << 1)
        with m.Elif(~self.again):
            m.d.sync += [window.eq(clipped), odd.eq(rest)]

        high = window[fraction:].as_signed()
        total = Signal(signed(max(len(high), len(self.count)) + 1), reset_less=True)
        rounded, on = Signal(reset_less=True), Signal()
        above, below = Signal(), Signal()
        m.d.sync += [
            total.eq(self.count + high),
            rounded.eq(window[:fraction].any() | odd),
            on.eq(self.on & self.lead.spikes),
        ]
        # total + rounded - margin - 1: a carry comes in.
        less = Cat(rounded, total).as_signed() + Cat(1, ~self.margin, 1).as_signed()
        m.d.sync += [above.eq(on & ~less[-1]), below.eq(on & (total + self.margin)[-1])]
        m.d.comb += self.beyond.eq(above | below)
        return m

    def _shifted(self, m) -> tuple[Value, Value]:
        """(lead >> shift, whether that lost anything)."""
        lead, shift = self.lead.lead, self.params.shared.get("shift")
        values = set(shift) if isinstance(shift, tuple) else {shift}
        if len(values) == 1 and None not in values:
            places = values.pop()
            return lead.shift_right(places), lead[:places].any() if places else Const(0, 1)
        value, lost = lead, Const(0, 1)
        for low in (0, 2):
            step, places = 1 << low, self.lead.shift[low : low + 2]
            dropped = Cat(value[n * step : (n + 1) * step].any() & (places > n) for n in range(3))
            moved, gone = Signal.like(lead, name=f"moved_{low}"), Signal(name=f"gone_{low}")
            m.d.sync += [
                moved.eq(
                    Mux(
                        places[1],
                        Mux(places[0], value >> 3 * step, value >> 2 * step),
                        Mux(places[0], value >> step, value),
                    )
                ),
                gone.eq(lost | dropped.any()),
            ]
            value, lost = moved, gone
        return value, lost
