"""The emulated array."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from hdl.arithmetic import times
from hdl.crossbar.columns import Columns
from hdl.crossbar.conduct import CONDUCT_LATENCY, Conduct
from hdl.crossbar.contents import array_contents
from hdl.crossbar.converter import Converter
from hdl.crossbar.noise import Generator
from hdl.crossbar.pipeline import held, pick
from hdl.crossbar.ports import array_signature
from hdl.crossbar.programming import Programming
from hdl.crossbar.scan import Scanner
from hdl.memory import configure, registered
from hdl.params.crossbar.array import ArrayMemory, ArrayParams
from hdl.params.crossbar.device import NU_BITS
from hdl.params.crossbar.noise import DRAW_BITS
from hdl.params.neuron import bits_for
from hdl.sc.overlap import delayed
from hdl.sc.rom import rom

__all__ = ["Array"]

#: Cycles of a pulse at which its second and third draw begin, its second phase begins, its device
#: is stored, and is taken to what it conducts (hdl/crossbar/programming.py; a draw takes 4).
SECOND, PHASE, THIRD, STORE, CONDUCT = 4, 7, 8, 13, 14
STEPS = (SECOND, THIRD, CONDUCT)


class Array(wiring.Component):
    """Banks of devices (equations: hdl/params/crossbar/array.py; ports: hdl/crossbar/ports.py).

    With S = 1 if there are several blocks of several tiles, otherwise 0, and from the command to
    `ready`: a read takes 10 + S cycles more than its rows (9 + S without rows), a pulse 36 + S. A
    restart takes 7 + S cycles for each block, and 2; ageing one for each device, 11 + 2 S for each
    block, and 2.

    The states of all blocks' generators, first and present ones, stand in one memory; every
    operation loads those that it needs, and puts them back.

    Parameters
    ----------
    params : the array.
    images : initial contents of memories, items from address 0 on; others are those of `params`,
        the devices 0.
    trims : whether CONVERTER can be written.
    """

    def __init__(
        self,
        params: ArrayParams,
        images: dict[ArrayMemory, list[int]] | None = None,
        *,
        trims: bool = True,
    ):
        self.params, self.contents, self.trims = params, array_contents(params, images or {}), trims
        super().__init__(array_signature(params))

    def elaborate(self, platform):
        m = Module()
        p, contents = self.params, self.contents
        m.submodules.generator = generator = Generator(p.columns)
        m.submodules.scanner = scanner = Scanner(p.rows)
        m.submodules.columns = columns = Columns(p, contents[ArrayMemory.REFERENCE])
        m.submodules.converter = converter = Converter(
            p, contents[ArrayMemory.CONVERTER], trims=self.trims
        )
        m.submodules.conduct = conduct = Conduct(p, contents[ArrayMemory.AGE])
        for part in (columns, converter, conduct):
            wiring.connect(m, wiring.flipped(self.config), part.config)

        # What is going on.
        reading, pulsing, ageing, restarting = Signal(), Signal(), Signal(), Signal()
        count = Signal(4)
        number = Signal(bits_for(p.blocks))
        column, cell = Signal(bits_for(p.columns)), Signal(range(p.cells))
        to_row, to_column = Signal(bits_for(p.rows)), Signal(bits_for(p.columns))
        to_bank, line = Signal(bits_for(p.banks)), Signal(range(p.tiles * p.rows))
        m.d.sync += count.eq(count + 1)

        # Reads.
        sense, load_ends, running = Signal(), Signal(), Signal()
        with m.If(self.strobe):
            m.d.sync += sense.eq(self.sense)
        m.d.comb += [
            scanner.start.eq(self.strobe),
            scanner.drive.eq(self.drive),
            scanner.run.eq(reading & (load_ends | running)),
            columns.bank.eq(self.bank),
            columns.valid.eq(scanner.valid),
            columns.row.eq(scanner.row),
            columns.z.eq(generator.z),
            columns.clear.eq(held(m, "clear", self.strobe & ~self.hold)),
            columns.sense.eq(sense),
            columns.sample.eq(held(m, "sample", self.sample)),
            converter.samples.eq(columns.samples),
            converter.column.eq(self.column),
            converter.range.eq(self.range),
            self.code.eq(converter.code),
        ]

        # States of generators: [present, block, word]. s0 of a state comes last, or of a swapped
        # one s1.
        start = 1 if p.blocks > 1 and p.tiles > 1 else 0
        block = number
        if p.blocks > 1:
            of_bank = self.bank
            if start:
                blocks = [bank // p.tiles for bank in range(p.banks)]
                of_bank = rom(m, "block", self.bank, 1, blocks, bits_for(p.blocks))
            block = Mux(reading | pulsing, of_bank, number)
        first = count[0] == start
        present = reading | pulsing
        half = 2 << bits_for(p.blocks)
        states = contents[ArrayMemory.STATE]
        word, write_state = registered(
            m, "states", Cat(first ^ ageing, block, present), 1,
            depth=half + 2 * p.blocks, bits=64,
            init=states + [0] * (half - 2 * p.blocks) + states,
        )  # fmt: skip
        configure(m, write_state, self.config, ArrayMemory.STATE)
        m.d.comb += generator.word.eq(word)

        # Devices.
        item, write_cell = registered(
            m, "cells", cell, 1,
            depth=p.cells, bits=p.item_bits, init=contents[ArrayMemory.CELL],
        )  # fmt: skip
        configure(m, write_cell, self.config, ArrayMemory.CELL)
        at = (p.cell_bits, p.cell_bits + NU_BITS)
        draws = [generator.z.word_select(c, DRAW_BITS).as_signed() for c in range(p.columns)]
        draw = pick(m, "draw", draws, held(m, "draw_column", column, 2))
        issue, advance = Signal(), Signal()
        issued = delayed(m, issue, 2 + CONDUCT_LATENCY, "issued")
        m.d.comb += [
            conduct.g_p.eq(item[: at[0]]),
            conduct.nu.eq(item[at[0] : at[1]]),
            conduct.epoch.eq(item[at[1] : -1]),
            conduct.z.eq(draw),
            columns.put.eq(issued[-1]),
            columns.to_bank.eq(to_bank),
            columns.to_row.eq(to_row),
            columns.to_column.eq(to_column),
            columns.h.eq(conduct.h),
            columns.s.eq(conduct.s),
            generator.advance.eq(scanner.valid | advance),
        ]

        if p.programmable:
            m.submodules.programming = programming = Programming(p.device)
            kind, level = Signal(2), Signal(p.cell_bits)
            epoch = Signal(p.epoch_bits)
            line_of_row = held(m, "line_of_row", times(self.bank, p.rows) + to_row)
            m.d.comb += [
                programming.kind.eq(kind),
                programming.level.eq(level),
                programming.g.eq(item[: at[0]]),
                programming.z.eq(draw),
                programming.second.eq(count >= PHASE),
            ]

        def wrap(counter, size):
            """Counts; true where it begins anew."""
            last = counter == size - 1
            m.d.sync += counter.eq(Mux(last, 0, counter + 1))
            return last

        with m.If(issued[-1]), m.If(wrap(to_column, p.columns)), m.If(wrap(to_row, p.rows)):
            m.d.sync += to_bank.eq(to_bank + 1)

        def go(phase):
            m.next = phase
            m.d.sync += count.eq(0)

        last_block = number == p.blocks - 1
        with m.FSM(name="phase"):
            with m.State("Wait"):
                m.d.comb += self.ready.eq(1)
                begins = Cat(self.strobe, self.age, self.restart)
                m.d.sync += [
                    reading.eq(self.strobe),
                    ageing.eq(self.age),
                    restarting.eq(self.restart),
                    Cat(number, line, cell, column, to_bank, to_row, to_column).eq(0),
                ]
                if p.programmable:
                    begins = Cat(begins, self.pulse)
                    m.d.sync += pulsing.eq(self.pulse)
                    with m.If(self.pulse):
                        m.d.sync += [
                            kind.eq(self.kind),
                            level.eq(self.level),
                            epoch.eq(self.epoch),
                            column.eq(self.column),
                            to_bank.eq(self.bank),
                            to_row.eq(self.row),
                            to_column.eq(self.column),
                        ]
                with m.If(begins.any()):
                    go("Load")
            with m.State("Load"):
                m.d.comb += generator.shift.eq(count >= start + 2)
                if p.programmable:
                    with m.If(pulsing):
                        m.d.sync += cell.eq(times(line_of_row, p.columns) + column)
                with m.If(count == start + 3):
                    m.d.comb += load_ends.eq(1)
                    go("Run")
            with m.State("Run"):
                m.d.comb += running.eq(1)
                if p.programmable:
                    stored = pulsing & ~item[-1]
                    m.d.comb += [
                        advance.eq(pulsing & Cat(count == n for n in STEPS).any()),
                        issue.eq(stored & (count == CONDUCT)),
                    ]
                    with m.If(stored & (count == STORE)):
                        m.d.comb += [
                            write_cell.addr.eq(cell),
                            write_cell.data.eq(Cat(programming.g_p, programming.nu, epoch)),
                            write_cell.en.eq(1),
                        ]
                with m.If(ageing):
                    m.d.sync += cell.eq(cell + 1)
                    m.d.comb += issue.eq(1)
                    with m.If(wrap(column, p.columns)):
                        m.d.comb += advance.eq(1)
                        with m.If(wrap(line, p.tiles * p.rows)):
                            go("Load")
                            with m.If(wrap(number, p.blocks)):
                                m.d.sync += [ageing.eq(0), restarting.eq(1)]
                with m.If(Mux(pulsing, count == CONDUCT, ~(ageing | scanner.busy))):
                    go("Store")
            with m.State("Store"):
                m.d.comb += [
                    generator.shift.eq(1),
                    write_state.addr.eq(Cat(~count[0], block, 1)),
                    write_state.data.eq(generator.last),
                    write_state.en.eq(1),
                ]
                with m.If(count[0]):
                    go("Drain")
                    with m.If(restarting & ~last_block):
                        m.d.sync += number.eq(number + 1)
                        go("Load")
            with m.State("Drain"), m.If(~(columns.busy | Cat(issued[:-1]).any())):
                go("Wait")
        return m
