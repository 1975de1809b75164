"""Proof that a scanner visits every driven row once, in ascending order, without gaps."""

import pytest
from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal

from hdl.crossbar.scan import Scanner
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal


class Spec(Elaboratable):
    """`due` are the rows that have not come: each that comes is the lowest of them.

    `wrong` forgets row 0.
    """

    def __init__(self, rows, wrong=False):
        self.dut = Scanner(rows)
        self.wrong = wrong
        self.ports = [self.dut.start, self.dut.drive, self.dut.run]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        due, ran, came = Signal(dut.rows), Signal(), Signal()
        m.d.comb += Assume(~dut.start | ~(dut.busy | dut.valid))
        this = Mux(dut.valid, 1 << dut.row, 0)
        with m.If(dut.start):
            m.d.sync += due.eq(dut.drive & (~0 << self.wrong))
        with m.Else():
            m.d.sync += due.eq(due & ~this)
        m.d.sync += [ran.eq(dut.run), came.eq(dut.valid)]
        with m.If(dut.valid):
            m.d.comb += Assert((due & -due)[: dut.rows] == this)
        with m.Elif(~dut.busy):
            m.d.comb += Assert(due == 0)
        with m.If(came & ran & (due != 0)):
            m.d.comb += Assert(dut.valid)
        return m


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_rows_come_once_ascending_without_gaps(rows):
    proven, log = prove(Spec(rows), steps=rows + 8, bounded=True)
    assert proven, (rows, log[-1500:])


def test_proof_finds_a_bug():
    proven, _ = prove(Spec(5, wrong=True), steps=12, bounded=True)
    assert not proven
