"""Drift compensation: factors from readouts now and readouts kept."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import times
from hdl.memory import registered
from hdl.params.crossbar.controller import ControllerParams
from hdl.params.crossbar.dendrites import FACTOR_BITS
from hdl.params.neuron import bits_for

__all__ = ["Calibrator", "readout_bits"]


def readout_bits(p: ControllerParams) -> int:
    """Bits of R."""
    codes = (1 << p.array.adc_bits) - 1
    return (p.array.rows * p.crossbar.devices * codes).bit_length()


class Calibrator(wiring.Component):
    """The rules "reference", "column" and "global" of hdl/params/crossbar/controller.py.

    Readouts are sums of a Product that calibrates, which is over before `start`. A ratio is a
    division of B bits, a bit a cycle. Takes at most (neurons + 1) * (B + 9) cycles.

    Parameters
    ----------
    params : the controller. A `unit` that isn't a power of two takes some adders in a row.

    Members
    -------
    start : for one cycle, begin; the following stand until `done`.
    reference, column : level, the rule; neither: "global".
    first : bank * neurons.
    place, readout : of the product, 2 cycles later.
    at, factor, write : for one cycle, the factor at this address becomes `factor`.
    done : for one cycle, `value` is the sum of readouts.
    """

    def __init__(self, params: ControllerParams):
        p = self.params = params
        neurons = p.crossbar.neurons
        self.sum_bits = readout_bits(p) + bits_for(neurons)
        super().__init__(
            {
                "start": In(1),
                "reference": In(1),
                "column": In(1),
                "first": In(bits_for(p.array.banks * neurons)),
                "place": Out(bits_for(neurons)),
                "readout": In(readout_bits(p)),
                "at": Out(bits_for(p.array.banks * neurons)),
                "factor": Out(FACTOR_BITS),
                "write": Out(1),
                "done": Out(1),
                "value": Out(self.sum_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, neurons = self.params, self.params.crossbar.neurons
        place, total, total_kept = Signal(range(max(neurons, 2))), self.value, Signal(self.sum_bits)
        looks, again = Signal(range(4)), Signal()
        reference, column = self.reference, self.column
        m.d.comb += [self.place.eq(place), self.at.eq(self.first + place)]
        kept, keep = registered(
            m,
            "kept",
            self.at,
            1,
            depth=max(p.array.banks * neurons, 2),
            bits=len(self.readout),
        )
        m.d.comb += [keep.addr.eq(self.at), keep.data.eq(self.readout)]

        # 2 * x * unit / y: bits leave `ratio` at the top for `rest`, those of the quotient come in.
        x, y = Signal(self.sum_bits), Signal(self.sum_bits)
        bits = max(self.sum_bits + p.unit.bit_length() + 1, FACTOR_BITS + 2)
        ratio, rest, steps = Signal(bits), Signal(self.sum_bits), Signal(range(bits + 1))
        next_rest = Cat(ratio[-1], rest)
        less = Signal(self.sum_bits + 2)
        m.d.comb += less.eq(next_rest - y)
        rounded = (ratio[: FACTOR_BITS + 1] + 1) >> 1
        over = ratio[FACTOR_BITS + 1 :].any() | rounded[FACTOR_BITS]
        answer = rounded[:FACTOR_BITS] | over.replicate(FACTOR_BITS)
        plain = reference | (x == 0)
        m.d.sync += self.factor.eq(Mux(plain, p.unit, answer))

        m.d.sync += self.write.eq(0)
        with m.FSM():
            with m.State("Rest"):
                m.d.sync += [counter.eq(0) for counter in (place, total, total_kept, again, looks)]
                with m.If(self.start):
                    m.next = "Look"
            with m.State("Look"):
                m.d.sync += looks.eq(looks + 1)
                with m.If(looks == 3):
                    m.next = "Sum"
            with m.State("Sum"):
                m.d.comb += keep.en.eq(reference)
                m.d.sync += [
                    total.eq(total + self.readout),
                    total_kept.eq(total_kept + kept),
                    x.eq(kept),
                    y.eq(self.readout),
                ]
                m.next = "Scale"
                with m.If(~(reference | column)):
                    m.next = "Next"
            with m.State("Scale"):
                m.d.sync += [ratio.eq(times(x, 2 * p.unit)), rest.eq(0), steps.eq(bits)]
                m.next = "Divide"
                with m.If(plain):
                    m.next = "Round"
            with m.State("Divide"):
                fits = ~less[-1]
                m.d.sync += [
                    rest.eq(Mux(fits, less, next_rest)),
                    ratio.eq(Cat(fits, ratio)),
                    steps.eq(steps - 1),
                ]
                with m.If(steps == 1):
                    m.next = "Round"
            with m.State("Round"):
                m.next = "Write"
            with m.State("Write"):
                m.d.sync += self.write.eq(1)
                m.next = "Next"
            with m.State("Next"):
                m.d.sync += place.eq(place + 1)
                m.next = "Look"
                with m.If(again):
                    m.next = "Write"
                with m.If(place == neurons - 1):
                    m.d.sync += [place.eq(0), again.eq(1), x.eq(total_kept), y.eq(total)]
                    m.next = "Scale"
                    with m.If(again | reference | column):
                        m.d.comb += self.done.eq(1)
                        m.next = "Rest"
        return m
