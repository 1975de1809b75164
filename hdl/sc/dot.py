"""The dot product of two vectors by bit-streams."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal, signed
from amaranth.lib import wiring

from hdl.memory import table
from hdl.params.sc.dot import LEVELS, DotParams
from hdl.sc.dense_planes import DensePlanes
from hdl.sc.popcount import popcount
from hdl.sc.unit import unit_signature

__all__ = ["Dot"]


class Dot(wiring.Component):
    """A dot product of two stored vectors by bit-streams (equation: hdl/params/sc/dot.py).

    The vectors stand as bit planes in distributed memory: the stochastic number generators of all
    lanes are the address of that memory. A lane is one LUT, two memory bits wide, and its share of
    the counter. One bit of all lanes a cycle.

    Parameters
    ----------
    params : lanes, widths, generators.

    Members
    -------
    write_a, write_b, plane, data_0 .. : before the count, write plane `plane` of a or b.
    count : the sum up to this cycle.
    en, clear : next cycle; a new run.
    """

    def __init__(self, params: DotParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        lanes = p.lanes

        # The run: writes, the signs, bits.
        counting, signs_read = Signal(), Signal()
        write_a, write_b = Signal(), Signal()
        begins = self.en & ~(self.write_a | self.write_b)
        counts = begins | (counting & self.en)
        bit = (counting if p.signed else 1) & counts
        t = Signal(p.source_bits)
        m.d.comb += [
            write_a.eq(self.write_a & self.en & ~counting & ~self.clear),
            write_b.eq(self.write_b & self.en & ~counting & ~self.clear),
            signs_read.eq(counts & ~bit),
        ]
        with m.If(self.clear):
            m.d.sync += [counting.eq(0), t.eq(0)]
        with m.Elif(counts):
            m.d.sync += counting.eq(1)
            with m.If(bit):
                m.d.sync += t.eq(t + 1)

        planes = DensePlanes(p.dense)
        m.submodules.planes = EnableInserter(self.en | self.clear)(planes)
        m.d.comb += [planes.t.eq(t), planes.en.eq(bit), planes.begin.eq(self.clear)]

        # What is in flight: signs or a bit.
        stages = 5 + p.popcount_latency
        signs, bits = Signal(stages), Signal(stages)
        with m.If(self.clear):
            m.d.sync += [signs.eq(0), bits.eq(0)]
        with m.Elif(self.en):
            m.d.sync += [signs.eq(Cat(signs_read, signs)), bits.eq(Cat(bit, bits))]

        data = Cat(getattr(self, port.name) for port in p.data_ports)
        operands = []
        for name, width, address, write in (
            ("a", p.a_bits, planes.weight[0], write_a),
            ("b", p.b_bits, planes.value[0], write_b),
        ):
            read, port = table(m, f"{name}_planes", depth=width + 1, bits=lanes, domain="comb")
            held = Signal.like(read.addr, name=f"{name}_plane", reset_less=True)
            word = Signal(lanes, name=f"{name}_bits", reset_less=True)
            m.d.comb += [
                read.addr.eq(held),
                port.addr.eq(self.plane),
                port.data.eq(data),
                port.en.eq(write & (self.plane <= width)),
            ]
            with m.If(self.en):
                m.d.sync += [held.eq(address), word.eq(read.data)]
                if p.signed and name == "a":
                    with m.If(signs[2]):  # no bits in the cycle of the signs
                        m.d.sync += word.eq(0)
            sign = Signal(lanes, name=f"{name}_signs", reset_less=True)
            with m.If(write & (self.plane == width + 1)):
                m.d.sync += sign.eq(data)
            operands.append((word, sign))

        (a, a_sign), (b, b_sign) = operands
        product = Signal(lanes, reset_less=True)
        with m.If(self.en):
            m.d.sync += product.eq((a & b) ^ a_sign ^ b_sign if p.signed else a & b)
            ones = popcount(m, product, levels=LEVELS)
        counted, valid = ones, bits[-1]
        if p.signed:
            minus = Signal.like(ones, reset_less=True)
            delta = Signal(signed(len(ones) + 1), reset_less=True)
            adding = Signal()
            with m.If(self.en):
                m.d.sync += delta.eq(ones - minus)
                with m.If(signs[-1]):
                    m.d.sync += minus.eq(ones)
            with m.If(self.clear):
                m.d.sync += adding.eq(0)
            with m.Elif(self.en):
                m.d.sync += adding.eq(bits[-1])
            counted, valid = delta, adding
        with m.If(self.clear):
            m.d.sync += self.count.eq(0)
        with m.Elif(self.en & valid):
            m.d.sync += self.count.eq(self.count + counted)
        return m
