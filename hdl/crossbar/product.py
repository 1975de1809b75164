"""Products of an array: reads for the bit planes of a tile's inputs, and sums of their codes."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import times
from hdl.crossbar.ports import CONVERT_LATENCY, array_signature
from hdl.memory import registered
from hdl.params.crossbar.array import ArrayParams, ReadRange
from hdl.params.crossbar.dendrites import FACTOR_BITS, Crossbar
from hdl.params.neuron import bits_for
from hdl.sc.overlap import delayed
from hdl.sc.popcount import popcount, popcount_latency

__all__ = ["Product", "acc_shape", "input_planes", "reading_signature"]

#: Ports of an array that a product drives, or looks at.
READING = (
    "ready", "bank", "strobe", "drive", "hold", "sense", "sample", "convert", "column", "range",
    "code",
)  # fmt: skip


def reading_signature(a: ArrayParams) -> wiring.Signature:
    """The READING part of an array's port, for who drives it."""
    members = array_signature(a).members
    return wiring.Signature({name: members[name].flip() for name in READING})


def input_planes(c: Crossbar) -> int:
    """Bit planes of the values of a tile: bits of |x|, lowest first, and the sign if p > 0."""
    return c.value_bits + 1 if c.value_bits else 1


def difference_bound(c: Crossbar) -> int:
    """The largest |d(n)|."""
    if c.sampling != "none":
        return c.train * c.rows
    return c.devices * ((1 << c.adc_bits) - 1)


def acc_shape(a: ArrayParams, c: Crossbar) -> Shape:
    """Of the sum over all reads of a block."""
    signs = 2 if c.value_bits else 1
    places = max((1 << c.value_bits) - 1, 1) if c.input == "serial" else 1
    factors = (1 << FACTOR_BITS) - 1
    most = a.tiles * signs * places * factors * difference_bound(c) + (1 << (c.fraction - 1))
    return signed(most.bit_length() + 1)


class Product(wiring.Component):
    """acc(n) += sign * place * factor(b, t, n) * d(n), for all reads of one bank.

    The equations are those of hdl/params/crossbar/dendrites.py. A product prepares its rows from
    bit planes, reads the bank, and converts all logical columns of each read, one a cycle, while
    the next read goes on, be it of the next product: `start` needs `ready` only. Sums stay here.

    Who uses it keeps the memories of inputs, column map and factors; each answers an address 2
    cycles later (`registered` of hdl/memory.py). While `busy`, all products are of one block.

    Parameters
    ----------
    array : the array.
    crossbar : how weights and inputs are laid out.
    calibrates : whether `calibrate` is built; not with `sampling`.

    Members
    -------
    array : the array's ports of reads and conversions.
    start : for one cycle, begin the product of bank `bank` of block `block`; only while `ready`.
    fresh : for one cycle, with `start` or alone, sums begin anew; only while not `busy`.
    calibrate : with `start` and `fresh`, each row alone is read, in order, instead of the inputs,
        and acc(n) += |d(n)|.
    ready : level, a product may start, and `plane` isn't looked at: inputs may be changed.
    busy : level, a product is going on, or its codes are still being added.
    plane : of the bank's tile. Bit k of |x| for plane k < p; plane p has a 1 for x < 0. With p = 0
        there is one, the spikes.
    word : this plane, bit r of row r, 2 cycles later.
    logical : block * neurons * width + logical column.
    physical : its column, 2 cycles later.
    factor_at : bank * neurons + place.
    factor : of this, 2 cycles later.
    place : whose sum is read, while not `busy`.
    acc : its sum, signed, 2 cycles later, with 2**(fraction - 1) on top unless it is of a
        `calibrate`; 0 if nothing was read since `fresh`.
    """

    #: Stages, counted from the cycle in which a column is looked up: its code; its place is
    #: complete; the sum of the place is written.
    CODE = 2 + CONVERT_LATENCY
    WHOLE = CODE + 1
    WRITE = WHOLE + 2

    def __init__(self, array: ArrayParams, crossbar: Crossbar, *, calibrates: bool = False):
        if calibrates and crossbar.sampling != "none":
            raise ValueError(
                f"calibrates needs sampling 'none', not {crossbar.sampling!r}: a count has no drift"
            )
        self.params, self.crossbar, self.calibrates = array, crossbar, calibrates
        a, c = array, crossbar
        super().__init__(
            {
                "array": Out(reading_signature(a)),
                "start": In(1),
                "fresh": In(1),
                "calibrate": In(1),
                "bank": In(bits_for(a.banks)),
                "block": In(bits_for(a.blocks)),
                "ready": Out(1),
                "busy": Out(1),
                "plane": Out(bits_for(input_planes(c))),
                "word": In(a.rows),
                "logical": Out(bits_for(a.blocks * c.neurons * c.width)),
                "physical": In(bits_for(a.columns)),
                "factor_at": Out(bits_for(a.banks * c.neurons)),
                "factor": In(FACTOR_BITS),
                "place": In(bits_for(c.neurons)),
                "acc": Out(acc_shape(a, c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, array = self.crossbar, self.array
        #: A read, or train, is through but for its `sample`; and what its codes are worth.
        request, blank, calibrating = Signal(), Signal(), Signal()
        shift = Signal(bits_for(c.value_bits) if c.input == "serial" else 0)
        negative = Signal()
        driven = Signal(range(c.train * c.rows + 1))
        with m.If(self.fresh):
            m.d.sync += [blank.eq(1), calibrating.eq(self.calibrate)]
        m.d.comb += [
            array.sense.eq(c.sampling != "none"),
            array.range.eq(ReadRange.MVM if c.sampling == "none" else ReadRange.COUNT),
        ]
        self._read(m, request, shift, negative, driven, calibrating)
        converting = self._convert(m, request, shift, negative, driven, blank, calibrating)
        m.d.comb += self.busy.eq(~self.ready | request | converting)
        return m

    def _read(self, m, request, shift, negative, driven, calibrating):
        """The sequence of reads. A read's rows are prepared plane by plane in `array.drive`."""
        c, array = self.crossbar, self.array
        p, trains = c.value_bits, c.input == "width" and c.value_bits > 1
        level = Signal(p if trains else bits_for(p))  # u of a train; k of a serial read
        most = (1 << p) - 2 if trains else max(p, 1) - 1
        minus, holding = Signal(), Signal()  # the sign of now; a train has begun
        bank = Signal.like(self.bank)

        # x > u bit by bit, lowest first: gt = gt & x_k if u_k else gt | x_k. Then the sign.
        fetch, conjoin, invert, last = (Signal(name=n) for n in ("f", "conjoin", "invert", "last"))
        step = delayed(m, Cat(fetch, conjoin, invert), 2, "step")[-1]
        drive, anew = array.drive, Signal()
        with m.If(anew):
            m.d.sync += drive.eq(0)
        with m.Elif(step[0]):
            rows = len(drive)
            both = drive & (self.word ^ step[2].replicate(rows))
            m.d.sync += drive.eq(Mux(step[1], both, drive | self.word))
            if self.calibrates:
                with m.If(calibrating):
                    m.d.sync += drive.eq(Cat(~holding, drive[:-1]))

        # Whether any row is driven, and how many, of rows that are ready 3 cycles after `last`.
        if c.sampling == "binary":
            count = popcount(m, drive, levels=2, name="driven")
            some, latency = count.any(), popcount_latency(len(drive), 2)
            with m.If(array.strobe):
                m.d.sync += driven.eq(Mux(array.hold, driven, 0) + count)
        else:
            parts = Signal(-(-len(drive) // 16), reset_less=True)
            m.d.sync += parts.eq(Cat(drive[k : k + 16].any() for k in range(0, len(drive), 16)))
            some, latency = parts.any(), 1
        checked = delayed(m, last, 3 + latency, "last")[-1]

        # A sign is over behind its last level, or where a train (or calibration) has no more rows.
        moves, over, asks = Signal(), Signal(), Signal()
        settled = Signal()  # `array.bank` is this product's
        plane = self.plane
        with m.If(~request):
            m.d.sync += array.bank.eq(bank)
        m.d.sync += settled.eq(~request)
        m.d.comb += array.hold.eq(holding & ~calibrating)
        with m.If(asks):
            m.d.sync += [
                request.eq(1),
                shift.eq(0 if trains else level),
                negative.eq(minus),
            ]
        none = checked & ~some
        m.d.comb += over.eq((level == most) | (none if trains else 0))
        if self.calibrates:
            with m.If(calibrating):
                m.d.comb += over.eq(none)
        first = over | calibrating
        with m.If(moves):
            m.d.sync += [
                level.eq(Mux(first, 0, level + 1)),
                plane.eq(0 if trains else Mux(first, 0, level + 1)),
                holding.eq((trains | calibrating) & ~over),
                minus.eq(minus | over),
            ]
        finished = over & (minus | calibrating | int(p == 0))
        with m.FSM():
            with m.State("Rest"):
                m.d.comb += [self.ready.eq(1), anew.eq(1)]
                m.d.sync += [minus.eq(0), plane.eq(0)]
                with m.If(self.start):
                    m.d.sync += bank.eq(self.bank)
                    m.next = "Prepare"
            with m.State("Prepare"):
                m.d.comb += [fetch.eq(1), last.eq(1)]
                if p:
                    signs = plane == p
                    m.d.comb += [
                        conjoin.eq(signs | (level.bit_select(plane, 1) if trains else 0)),
                        invert.eq(signs & ~minus),
                        last.eq(signs | calibrating),
                    ]
                    m.d.sync += plane.eq(plane + 1 if trains else p)
                with m.If(last):
                    m.next = "Check"
            with m.State("Check"):
                m.d.comb += [moves.eq(none), asks.eq(none & array.hold)]
                with m.If(checked):
                    m.next = "Strobe"
                with m.If(moves):
                    m.next = "Prepare"
                with m.If(moves & finished):
                    m.next = "Rest"
            with m.State("Strobe"):
                m.d.comb += array.strobe.eq(array.ready & ((settled & ~request) | array.hold))
                with m.If(array.strobe):
                    m.d.comb += [moves.eq(1), anew.eq(~calibrating)]
                    m.d.comb += asks.eq((over | calibrating) if trains else 1)
                    m.next = "Prepare"
                    with m.If(finished):
                        m.next = "Rest"

    def _convert(self, m, request, shift, negative, driven, blank, calibrating):
        """All logical columns of a sample, one a cycle, into the sums. Returns: it is going on.

        A pass may begin once the columns of the one before it are looked up, its codes finished
        close behind. It begins `WRITE` cycles behind that one or later.
        """
        c, array = self.crossbar, self.array
        columns, width = c.neurons * c.width, c.width
        going, number = Signal(), Signal(range(columns))
        looks = array.sample | going
        look = delayed(m, looks, self.WRITE, "look")
        news = delayed(m, array.sample, self.WRITE - 1, "news")
        base = Signal.like(self.logical)
        with m.If(self.start):
            m.d.sync += base.eq(times(self.block, columns))
        m.d.comb += [
            self.logical.eq(base + number),
            array.convert.eq(look[2]),
            array.column.eq(self.physical),
        ]
        with m.If(looks):
            final = number == columns - 1
            m.d.sync += [number.eq(Mux(final, 0, number + 1)), going.eq(~final)]

        # What the codes of a pass are worth: known since its sample, kept where its stage begins.
        m.d.comb += array.sample.eq(
            request & array.ready & ~going & ~look[1] & ~Cat(news[1:]).any()
        )
        with m.If(array.sample):
            m.d.sync += [request.eq(0), blank.eq(0)]

        def kept(value, stage):
            """`value` as it was in a pass's sample, from that stage on."""
            now, late = (Signal.like(value, name=f"{value.name}_{k}") for k in ("now", "late"))
            with m.If(array.sample):
                m.d.sync += now.eq(value)
            with m.If(news[stage - 1]):
                m.d.sync += late.eq(now)
            return late

        negative, driven = kept(negative, self.CODE), kept(driven, self.CODE)
        shift, first_pass = kept(shift, self.WHOLE), kept(blank, self.WRITE)
        bank = Signal.like(array.bank, name="bank_now")
        with m.If(array.sample):
            m.d.sync += bank.eq(array.bank)

        # Columns of a place are counted a cycle before their codes come.
        early, index, place = look[self.CODE - 1], Signal(range(width)), Signal(range(c.neurons))
        ends = early & (index == width - 1)
        with m.If(early):
            m.d.sync += index.eq(Mux(index == width - 1, 0, index + 1))
        with m.If(ends):
            m.d.sync += [
                place.eq(Mux(place == c.neurons - 1, 0, place + 1)),
                self.factor_at.eq(self.factor_at + 1),
            ]
        with m.If(news[self.CODE - 2]):
            m.d.sync += self.factor_at.eq(times(bank, c.neurons))
        whole = delayed(m, ends, self.WRITE - self.CODE + 1, "whole")
        places = delayed(m, place, self.WRITE - self.CODE + 1, "place")
        begins, odd = Signal(), Signal()
        m.d.sync += [begins.eq(index == 0), odd.eq((index & 1) if width > 1 else 0)]

        # d, with its sign; then its place; then the factor; then the sum.
        bound = difference_bound(c)
        d = Signal(signed(bound.bit_length() + 1), reset_less=True)
        code = array.code[: c.adc_bits if c.sampling == "none" else len(driven)]
        down = odd ^ negative
        if c.sampling == "binary":
            code, start = code << 1, Mux(negative, driven, -driven)
        else:
            start = 0
        old = Mux(begins, start, d)
        m.d.sync += d.eq(Mux(down, old - code, old + code))
        scaled = Signal(signed(len(d) + (1 << len(shift)) - 1), reset_less=True)
        factor = Signal(signed(FACTOR_BITS + 1), reset_less=True)
        m.d.sync += [scaled.eq(d << shift), factor.eq(self.factor)]
        if self.calibrates:
            with m.If(calibrating):
                m.d.sync += factor.eq(Cat(1, d[-1].replicate(FACTOR_BITS)))
        product = Signal(signed(len(scaled) + FACTOR_BITS), reset_less=True)
        m.d.sync += product.eq(scaled * factor)

        at = Signal.like(place, name="sum_at")
        m.d.comb += at.eq(Mux(whole[2], places[2], self.place))
        word, write = registered(m, "sums", at, 1, depth=c.neurons, bits=len(self.acc))
        bias = Mux(calibrating, 0, 1 << (c.fraction - 1))
        m.d.comb += [
            write.addr.eq(places[-1]),
            write.data.eq(Mux(first_pass, bias, word.as_signed()) + product),
            write.en.eq(whole[-1]),
            self.acc.eq(Mux(delayed(m, blank, 2, "blank")[-1], 0, word.as_signed())),
        ]
        return Cat(look[1:]).any()
