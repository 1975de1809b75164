"""Adders of streams: multiplexer, OR, parallel counter, accumulative adder of any scale."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring

from hdl.params.sc.add import MuxAddParams, OrAddParams, ParallelCountParams, ScaledAddParams
from hdl.sc.unit import unit_signature

__all__ = ["MuxAdd", "OrAdd", "ParallelCount", "ScaledAdd", "ones", "total_of"]


def total_of(columns):
    """The sum of bits: `columns[k]` is a list of 1-bit values of weight 2**k.

    Full adders, column by column: three bits of a weight become one of it and a carry.
    """
    columns, total = [list(column) for column in columns], []
    while columns:
        column, carries = columns.pop(0), []
        while len(column) > 1:
            a, b = column[:2]
            c = column[2] if len(column) > 2 else Const(0, 1)
            column = [*column[3:], a ^ b ^ c]
            carries.append((a & b) | (c & (a ^ b)))
        total.append(column[0] if column else Const(0, 1))
        if carries and not columns:
            columns.append([])
        if columns:
            columns[0].extend(carries)
    return Cat(total)


def ones(bits):
    """The number of ones among `bits`, a list of 1-bit values."""
    return total_of([bits])


def ones_by_eight(m, bits, en, clear):
    """The same through a register of the number of ones of each eight bits, and a level.

    The level is low until the register holds the bits of an enabled cycle after the clear.
    """
    columns, valid = [[] for _ in range(4)], Signal()
    for k in range(0, len(bits), 8):
        eight = ones(bits[k : k + 8])
        held = Signal(len(eight), name=f"eight_{k // 8}", reset_less=True)
        with m.If(en):
            m.d.sync += held.eq(eight)
        for column, bit in zip(columns, held, strict=False):
            column.append(bit)
    with m.If(clear):
        m.d.sync += valid.eq(0)
    with m.Elif(en):
        m.d.sync += valid.eq(1)
    return total_of([column for column in columns if column]), valid


class MuxAdd(wiring.Component):
    """The mean of streams by a multiplexer (equation: hdl/params/sc/add.py). Combinational.

    Parameters
    ----------
    params : number of inputs.

    Members
    -------
    x0, x1, ... : the terms.
    s0, s1, ... : the select streams, independent of the terms.
    y : one of the terms in each cycle.
    """

    def __init__(self, params: MuxAddParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        terms = Array(getattr(self, f"x{k}") for k in range(p.inputs))
        m.d.comb += self.y.eq(terms[Cat(getattr(self, f"s{k}") for k in range(p.selects))])
        return m


class OrAdd(wiring.Component):
    """The sum of small probabilities by an OR (equation: hdl/params/sc/add.py). Combinational.

    Parameters
    ----------
    params : number of inputs.

    Members
    -------
    x0, x1, ... : independent streams (SCC = 0), or two of SCC = -1.
    y : their sum, less what is 1 in several.
    """

    def __init__(self, params: OrAddParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.y.eq(Cat(getattr(self, f"x{k}") for k in range(self.params.inputs)).any())
        return m


class ParallelCount(wiring.Component):
    """The running sum of streams as a binary number (equation: hdl/params/sc/add.py).

    Latency 2, the number of ones of a cycle is in a register before it is added; with more than 8
    inputs 3, the number of ones of each eight is in a register too.

    Parameters
    ----------
    params : number of inputs, encoding, bits.

    Members
    -------
    x0, x1, ... : streams of any correlation.
    count : their sum since the clear; it wraps.
    """

    def __init__(self, params: ParallelCountParams):
        self.params = params
        least = -params.inputs if params.encoding == "bipolar" else 0
        self.added = Signal(range(least, params.inputs + 1))
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        bits = [getattr(self, f"x{k}") for k in range(p.inputs)]
        total, valid = ones(bits), 1
        if p.latency == 3:
            total, valid = ones_by_eight(m, bits, self.en, self.clear)
        amount = (total << 1) - p.inputs if p.encoding == "bipolar" else total
        with m.If(self.clear):
            m.d.sync += [self.added.eq(0), self.count.eq(0)]
        with m.Elif(self.en):
            m.d.sync += [
                self.added.eq(Mux(valid, amount, 0)),
                self.count.eq(self.count + self.added),
            ]
        return m


class ScaledAdd(wiring.Component):
    """The sum of streams over a scale, as a stream (equation: hdl/params/sc/add.py).

    The accumulator with and without the output's share is computed at once, so the sign of the
    first is the output. With scale = inputs it can't saturate; if that is a power of two too, the
    output is the carry of the accumulator.

    Parameters
    ----------
    params : number of inputs, scale, encoding, depth of the accumulator, registers (the latency).

    Members
    -------
    x0, x1, ... : streams of any correlation.
    y : (x0 + x1 + ...) / scale, saturated.
    """

    def __init__(self, params: ScaledAddParams):
        self.params = params
        self.acc = Signal(range(params.least, params.most + 1))
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        bits = [getattr(self, f"x{k}") for k in range(p.inputs)]
        total, valid = ones(bits), 1
        if p.registers == 3:
            total, valid = ones_by_eight(m, bits, self.en, self.clear)
        share = p.scale * p.unit
        added = (total << (p.unit - 1)) - p.offset if p.offset else total
        if p.registers:
            held = Signal(added.shape(), name="added")
            with m.If(self.clear):
                m.d.sync += held.eq(0)
            with m.Elif(self.en):
                m.d.sync += held.eq(Mux(valid, added, 0))
            added = held

        y, acc = Signal(), self.acc
        if p.scale == p.inputs:
            u = Signal(range(2 * p.scale))
            m.d.comb += u.eq(acc + added)
            if p.scale & (p.scale - 1):
                without = Signal(signed(len(u) + 1))
                m.d.comb += [without.eq(u - p.scale), y.eq(without >= 0)]
                after = Mux(y, without, u)
            else:
                m.d.comb += y.eq(u[-1])
                after = u[: len(acc)]
        else:
            # The limit is a power of two: `whole` passes it where bits from that one on say so.
            whole, without = (Signal(signed(p.depth + p.unit - 1)) for _ in range(2))
            m.d.comb += [
                whole.eq(acc + added),
                without.eq(acc + added - share),
                y.eq(~without[-1]),
            ]
            over = ~whole[-1] & whole[-2] & whole[:-2].any()
            rest = whole
            if p.offset:
                rest = Mux(whole[-1] & ~whole[-2], p.least, whole)
            after = Mux(y, Mux(over, p.most, without), rest)
        with m.If(self.clear):
            m.d.sync += acc.eq(0)
        with m.Elif(self.en):
            m.d.sync += acc.eq(after)

        if p.registers >= 2:
            with m.If(self.clear):
                m.d.sync += self.y.eq(0)
            with m.Elif(self.en):
                m.d.sync += self.y.eq(y)
        else:
            m.d.comb += self.y.eq(y)
        return m
