"""Program-and-verify: what reads, compares and pulses single devices."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.books import failure_bits
from hdl.crossbar.ports import CONVERT_LATENCY, array_signature
from hdl.params.crossbar.array import ArrayParams, Pulse, ReadRange
from hdl.params.crossbar.controller import COUNT_BITS, ControllerParams
from hdl.params.neuron import bits_for
from hdl.sc.overlap import delayed

__all__ = ["LOOKUP", "Programmer", "programming_signature", "verify_bits"]

#: Cycles in which memories answer.
LOOKUP = 2

#: Ports of an array that a programmer drives, or looks at. `row` is also the row that is read.
PROGRAMMING = (
    "ready", "bank", "strobe", "sample", "convert", "column", "range", "code", "pulse", "kind",
    "row", "level", "epoch",
)  # fmt: skip


def programming_signature(a: ArrayParams) -> wiring.Signature:
    """The PROGRAMMING part of an array's port, for who drives it."""
    members = array_signature(a).members
    return wiring.Signature({name: members[name].flip() for name in PROGRAMMING})


def verify_bits(p: ControllerParams) -> int:
    """Bits of m."""
    return max(p.array.cell_bits, p.array.adc_bits) + p.averages


def _clip(value, bits: int):
    """A signed `value` in 0..2**bits - 1."""
    over = value[bits:-1].any()
    return Mux(value[-1], 0, value[:bits] | over.replicate(bits))


class Programmer(wiring.Component):
    """VERIFY, PROGRAM and UPDATE of hdl/params/crossbar/controller.py.

    One of them begins with its strobe, while `ready`; operands stand until `done`. Where the array
    is ready again within b cycles, a verify takes at most 2**averages * (b + 1) + 10 cycles (reads
    overlap with conversions), a pulse b + 2, a device `max_pulses` of these, one verify more, 6
    cycles, and `devices` - 1 verifies of others, each with 5. In a `program` no physical device has
    its turn twice, so that it ends.

    Parameters
    ----------
    params : the controller.

    Members
    -------
    ready : level, nothing is going on.
    verify, program, update : for one cycle, start.
    bank : of the device; the first of the block for `program`.
    row, column : of the device to verify, `row` also of the one to update.
    epoch : of pulses.
    first : of the logical column to update (turn 0) or the first one of the block.
    first_target : address of the block's first target.
    logical, physical : a logical column, and where it is `LOOKUP` cycles later.
    at, target : address of a target, and the target `LOOKUP` cycles later.
    spare, move, settle, failures, worn : see Books.
    turn : device of a weight whose turn it is.
    turned : for one cycle, it has had it.
    done : for one cycle, `value` and `failed` are the answer's.
    array : the array's ports of reads and pulses. A read is of `row` alone, range VERIFY; `row`
        stands a cycle before the strobe.
    """

    def __init__(self, params: ControllerParams):
        p = self.params = params
        a, c = p.array, p.crossbar
        logical = bits_for(a.blocks * p.places)
        # In the open for proofs: an update is going on; a device's turn begins, and the pulses that
        # it may still take; a pulse is about to be given, is going on; a read is going on.
        self.updates, self.begins, self.left = Signal(), Signal(), Signal(range(p.max_pulses + 1))
        self.aims, self.settles, self.reads = Signal(), Signal(), Signal()
        super().__init__(
            {
                "ready": Out(1),
                "verify": In(1),
                "program": In(1),
                "update": In(1),
                "bank": In(bits_for(a.banks)),
                "row": In(bits_for(a.rows)),
                "column": In(bits_for(a.columns)),
                "epoch": In(a.epoch_bits),
                "first": In(logical),
                "first_target": In(bits_for(a.blocks * p.places * a.tiles * a.rows)),
                "logical": Out(logical),
                "physical": In(bits_for(a.columns)),
                "at": Out(bits_for(a.blocks * p.places * a.tiles * a.rows)),
                "target": In(a.cell_bits),
                "spare": In(1),
                "move": Out(1),
                "settle": Out(1),
                "failures": Out(failure_bits(p)),
                "worn": Out(1),
                "turn": In(bits_for(c.devices)),
                "turned": Out(1),
                "done": Out(1),
                "value": Out(max(COUNT_BITS, verify_bits(p))),
                "failed": Out(1),
                "array": Out(programming_signature(a)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, a, array = self.params, self.params.array, self.array
        averages, devices, width = p.averages, p.crossbar.devices, p.crossbar.width
        stride, before = a.tiles * a.rows, 2 * (devices - 1)

        updates, left = self.updates, self.left
        verifies, target = Signal(), Signal(a.cell_bits)
        total, faults = Signal(COUNT_BITS), Signal.like(self.failures)
        tile, place = Signal(range(max(a.tiles, 2))), Signal(range(max(p.places, 2)))
        index, pair = Signal(range(width)), Signal(range(devices))
        row, column, bank = array.row, array.column, array.bank
        more, onward = Signal(signed(len(self.at) + 1)), Signal(signed(len(self.logical) + 1))
        m.d.sync += [self.at.eq(self.at + more), self.logical.eq(self.logical + onward)]

        # m - (target << averages) of the reads so far.
        error = Signal(signed(verify_bits(p) + 1))
        reads, looks = Signal(range(max(1 << averages, 2))), Signal(range(LOOKUP + 1))
        converting = Cat(delayed(m, array.convert, CONVERT_LATENCY, "converting")[1:])
        with m.If(converting[-1]):
            code = array.code[: a.adc_bits] << max(a.cell_bits - a.adc_bits, 0)
            m.d.sync += error.eq(error + code)
        below, misses = error[-1], Signal()
        distance = Cat(below, error.as_unsigned() ^ below.replicate(len(error)))  # twice |error|
        m.d.sync += misses.eq(distance > 2 * (p.tolerance << averages))

        # The last column of a sign makes up for the `devices` - 1 before it.
        missing = Signal(signed(verify_bits(p) - averages + devices.bit_length() + 1))
        others = pair != devices - 1
        aim = _clip(self.target + missing, a.cell_bits) if before else self.target
        if before:
            aim = Mux(others, self.target, aim)

        level = Signal.like(target) if p.policy == "feedback" else target
        kind = Pulse.WRITE if a.device.kind == "write" else Mux(below | updates, Pulse.SET, 0)
        m.d.comb += [
            array.range.eq(ReadRange.VERIFY),
            array.kind.eq(kind),
            array.level.eq(level),
            array.epoch.eq(self.epoch),
            self.value.eq(Mux(verifies, error, Mux(updates, self.turn, total))),
            self.failed.eq(~(verifies | updates) & self.failures.any()),
        ]

        with m.FSM():
            with m.State("Rest"):
                m.d.comb += self.ready.eq(1)
                m.d.sync += [
                    verifies.eq(self.verify),
                    updates.eq(self.update),
                    bank.eq(self.bank),
                    row.eq(Mux(self.program, 0, self.row)),
                    column.eq(self.column),
                    self.at.eq(self.first_target),
                    self.logical.eq(self.first + Mux(self.update, self.turn << 1, 0)),
                    target.eq(0),
                    pair.eq(devices - 1),
                ]
                m.d.sync += [counter.eq(0) for counter in (tile, place, index, looks)]
                with m.If(self.program):
                    m.d.sync += [count.eq(0) for count in (total, faults, self.failures)]
                    m.next = "Begin"
                with m.If(self.verify):
                    m.next = "Verify"
                with m.If(self.update):
                    m.next = "Look"
            with m.State("Begin"):
                m.d.comb += self.begins.eq(1)
                m.d.sync += [left.eq(p.max_pulses), missing.eq(0)]
                with m.If((index >= width - 2) & bool(before)):
                    m.d.sync += pair.eq(0)
                    m.d.comb += [more.eq(-before * stride), onward.eq(-before)]
                m.next = "Look"
            with m.State("Look"):
                m.d.sync += looks.eq(looks + 1)
                with m.If(looks == LOOKUP):
                    m.d.sync += [looks.eq(0), column.eq(self.physical), target.eq(aim)]
                    if level is not target:
                        m.d.sync += level.eq(aim)
                    m.next = "Verify"
                    with m.If(updates):
                        m.next = "Pulse"
            with m.State("Verify"):
                m.d.sync += [error.eq(-(target << averages)), reads.eq((1 << averages) - 1)]
                m.next = "Strobe"
            with m.State("Strobe"), m.If(array.ready):
                m.d.comb += array.strobe.eq(1)
                m.next = "Sample"
            with m.State("Sample"):
                m.d.comb += self.reads.eq(1)
                with m.If(array.ready):
                    m.d.comb += array.sample.eq(1)
                    m.next = "Convert"
            with m.State("Convert"):
                m.d.comb += array.convert.eq(1)
                m.d.sync += reads.eq(reads - 1)
                m.next = "Collect"
                with m.If(reads != 0):
                    m.d.comb += array.strobe.eq(1)
                    m.next = "Sample"
            with m.State("Collect"), m.If(~converting.any()):
                m.next = "Decide"
            with m.State("Decide"):
                with m.If(verifies):
                    m.next = "Done"
                with m.Elif(others):
                    whole = error >> averages
                    half = error[averages - 1] if averages else 0
                    m.d.sync += [missing.eq(missing - whole - half), pair.eq(pair + 1)]
                    m.d.comb += [more.eq(2 * stride), onward.eq(2)]
                    m.next = "Look"
                with m.Elif(misses & left.any()):
                    if level is not target:
                        with m.If(left != p.max_pulses):
                            less = Cat(level, 0).as_signed() - (error >> (averages + 1))
                            m.d.sync += level.eq(_clip(less, a.cell_bits))
                    m.next = "Pulse"
                with m.Else():
                    m.d.sync += faults.eq(faults + misses)
                    m.next = "Next"
            with m.State("Pulse"):
                m.d.comb += self.aims.eq(1)
                with m.If(array.ready):
                    m.d.comb += array.pulse.eq(1)
                    m.next = "Settle"
            with m.State("Settle"):
                m.d.comb += self.settles.eq(1)
                with m.If(array.ready):
                    m.d.comb += self.worn.eq(1)
                    m.d.sync += [left.eq(left - 1), total.eq(total + ~total.all())]
                    m.next = "Verify"
                    with m.If(updates):
                        m.next = "Done"
            with m.State("Next"):
                m.d.comb += more.eq(1)
                m.d.sync += row.eq(row + 1)
                m.next = "Begin"
                with m.If(row == a.rows - 1):
                    m.d.sync += [row.eq(0), tile.eq(tile + 1), bank.eq(bank + 1)]
                    with m.If(tile == a.tiles - 1):
                        m.d.sync += [tile.eq(0), bank.eq(self.bank)]
                        m.next = "Column"
            with m.State("Column"):
                m.d.sync += faults.eq(0)
                m.next = "Begin"
                with m.If((faults > p.fault_limit) & self.spare):
                    m.d.comb += [self.move.eq(1), more.eq(-stride)]
                with m.Else():
                    m.d.comb += onward.eq(1)
                    m.d.sync += [
                        self.failures.eq(self.failures + faults),
                        index.eq(Mux(index == width - 1, 0, index + 1)),
                        place.eq(place + 1),
                    ]
                    with m.If(place == p.places - 1):
                        m.next = "Close"
            with m.State("Close"):
                m.d.comb += self.settle.eq(1)
                m.next = "Done"
            with m.State("Done"):
                m.d.comb += [self.done.eq(1), self.turned.eq(updates)]
                m.next = "Rest"
        return m
