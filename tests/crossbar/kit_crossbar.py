"""An `Array` in Verilator behind a stream of commands, beside its twin.

Example::

    script = Script(params)
    script.configure(ArrayMemory.AGE, 0, 300)
    script.age()
    script.read(0, drive=0b1011)
    script.sample()
    script.convert(2, ReadRange.MVM)
    script.check()

Commands wait until the array is ready, but conversions: these go on beside a read. A script without
`twin` only runs the RTL.
"""

import tempfile
from pathlib import Path

import numpy as np
from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.array import Array
from hdl.crossbar.ports import CONVERT_LATENCY
from hdl.emit import emit_verilog
from hdl.params.crossbar.array import OFFSET_BITS, ArrayMemory, ArrayParams, Pulse, ReadRange
from hdl.params.neuron import bits_for
from hdl.sc.overlap import delayed
from sim.golden.crossbar.array import ArrayModel
from sim.verilated import Verilated

__all__ = ["ArrayBench", "Script", "build"]

READ, PULSE, AGE, RESTART, SAMPLE, CONVERT, CONFIG, TIME, WAIT, RESET = range(10)

#: Bits of a word that comes out.
WORD = 32


def _bits(memory: ArrayMemory, item: int) -> int:
    """An item as a word; negative ones are offsets."""
    return item % (1 << OFFSET_BITS if memory == ArrayMemory.CONVERTER else 1 << 64)


def _bodies(p: ArrayParams) -> dict[int, data.StructLayout]:
    """What follows the operation and the bank."""
    row, column = bits_for(p.rows), bits_for(p.columns)
    return {
        READ: data.StructLayout({"hold": 1, "sense": 1, "drive": p.rows}),
        PULSE: data.StructLayout(
            {"kind": 2, "row": row, "column": column, "level": p.cell_bits, "epoch": p.epoch_bits}
        ),
        CONVERT: data.StructLayout({"range": 2, "column": column}),
        CONFIG: data.StructLayout({"memory": 3, "address": 32, "data": 64}),
        WAIT: data.StructLayout({"cycles": 16}),
    }


class ArrayBench(wiring.Component):
    """Takes commands, `i`; gives codes, and cycle counts of TIME, `o`, whose `ready` must be high.

    TIME waits until the array is ready and gives the number of the cycle. WAIT pauses; RESET resets
    the array whatever it does.
    """

    def __init__(self, params: ArrayParams, images: dict | None = None):
        self.params, self.bodies = params, _bodies(params)
        self.array = Array(params, images)
        size = 4 + bits_for(params.banks) + max(b.size for b in self.bodies.values())
        super().__init__({"i": In(stream.Signature(size)), "o": Out(stream.Signature(WORD))})

    def elaborate(self, platform):
        m = Module()
        reset = Signal()
        m.submodules.array = array = ResetInserter(reset)(self.array)
        op, banks = self.i.payload[:4], bits_for(self.params.banks)
        bank, body = self.i.payload[4 : 4 + banks], self.i.payload[4 + banks :]
        views = {op: data.View(b, body[: b.size]) for op, b in self.bodies.items()}
        time, pause, last_bank = Signal(WORD), Signal(16), Signal(banks)
        free = (op == CONVERT) | (op == WAIT) | (op == RESET)
        taken = self.i.valid & self.i.ready
        m.d.comb += self.i.ready.eq((array.ready | free) & (pause == 0))
        m.d.sync += [time.eq(time + 1), pause.eq(Mux(pause == 0, 0, pause - 1))]
        of_bank = taken & ((op == READ) | (op == PULSE))
        with m.If(of_bank):
            m.d.sync += last_bank.eq(bank)
        with m.If(taken & (op == WAIT)):
            m.d.sync += pause.eq(views[WAIT].cycles)
        starts = {
            READ: array.strobe, PULSE: array.pulse, AGE: array.age, RESTART: array.restart,
            SAMPLE: array.sample, CONVERT: array.convert, CONFIG: array.config.en, RESET: reset,
        }  # fmt: skip
        m.d.comb += [signal.eq(taken & (op == number)) for number, signal in starts.items()]
        m.d.comb += [
            array.bank.eq(Mux(of_bank, bank, last_bank)),
            array.column.eq(Mux(op == PULSE, views[PULSE].column, views[CONVERT].column)),
        ]
        for number, names in ((READ, ("hold", "sense", "drive")), (CONVERT, ("range",)),
                              (PULSE, ("kind", "row", "level", "epoch"))):  # fmt: skip
            m.d.comb += [getattr(array, n).eq(getattr(views[number], n)) for n in names]
        m.d.comb += [
            getattr(array.config, n).eq(getattr(views[CONFIG], n))
            for n in ("memory", "address", "data")
        ]
        mark = delayed(m, Mux(taken, Cat(op == CONVERT, op == TIME), 0), CONVERT_LATENCY, "mark")
        when = delayed(m, time, CONVERT_LATENCY, "when")
        m.d.comb += [
            self.o.valid.eq(mark[-1].any()),
            self.o.payload.eq(Mux(mark[-1][0], array.code, when[-1])),
        ]
        return m


def build(params: ArrayParams, images: dict | None = None, *, optimise: bool = False) -> Verilated:
    """The array in its bench, compiled (cached by content)."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in emit_verilog(ArrayBench(params, images), "bench").items():
            paths.append(Path(folder) / name)
            paths[-1].write_text(text)
        verilog = [path for path in paths if path.suffix == ".v"]
        memories = [path for path in paths if path.suffix != ".v"]
        return Verilated.build(verilog, "bench", optimise=optimise, data_files=memories)


class Script:
    """Commands for an array and its twin.

    Members
    -------
    words : the commands so far.
    expected : what the twin says that comes out, None where it can't (times).
    """

    def __init__(self, params: ArrayParams, *, images: dict | None = None, twin: bool = True):
        self.params, self.images = params, images
        self.twin = ArrayModel(params) if twin else None
        if self.twin:
            for memory, items in (images or {}).items():
                for address, item in enumerate(items):
                    if memory == ArrayMemory.AGE and address % 4 == 3:
                        continue  # no such item
                    self.twin.configure(memory, address, _bits(memory, int(item)))
            self.twin.restart()
        self.bodies = _bodies(params)
        self.words: list[int] = []
        self.expected: list[int | None] = []
        self.said: list[str] = []

    def _add(self, op: int, text: str, bank: int = 0, **fields: int) -> None:
        banks = bits_for(self.params.banks)
        body = self.bodies[op].const(fields).as_value().value if fields else 0
        self.words.append(op | bank << 4 | body << 4 + banks)
        self.said.append(text)

    def configure(self, memory: ArrayMemory, address: int, item: int) -> None:
        self._add(CONFIG, f"{memory.name}[{address}] = {item}", memory=memory, address=address,
                  data=item % (1 << 64))  # fmt: skip
        if self.twin:
            self.twin.configure(memory, address, _bits(memory, item))

    def read(self, bank: int, drive: int, *, hold: bool = False, sense: bool = False) -> None:
        self._add(READ, f"read {bank} {drive:#x} hold {hold} sense {sense}", bank, hold=hold,
                  sense=sense, drive=drive)  # fmt: skip
        if self.twin:
            rows = [drive >> r & 1 for r in range(self.params.rows)]
            self.twin.read(bank, np.array(rows), hold=hold, sense=sense)

    def sample(self) -> None:
        self._add(SAMPLE, "sample")
        if self.twin:
            self.twin.sample()

    def convert(self, column: int, kind: ReadRange) -> None:
        self._add(CONVERT, f"convert {column} {kind.name}", column=column, range=kind)
        code = self.twin.convert(column, kind) if self.twin else None
        self.expected.append(code if code is None else code % (1 << self.params.code_bits))

    def pulse(
        self, bank: int, row: int, column: int, kind: Pulse, level: int = 0, epoch: int = 0
    ) -> None:
        self._add(PULSE, f"pulse {bank} {row} {column} {kind.name} {level} {epoch}", bank,
                  row=row, column=column, kind=kind, level=level, epoch=epoch)  # fmt: skip
        if self.twin:
            self.twin.pulse(bank, row, column, kind, level, epoch)

    def age(self) -> None:
        self._add(AGE, "age")
        if self.twin:
            self.twin.age()

    def restart(self) -> None:
        self._add(RESTART, "restart")
        if self.twin:
            self.twin.restart()

    def time(self) -> None:
        """The cycle in which the array is ready."""
        self._add(TIME, "time")
        self.expected.append(None)

    def wait(self, cycles: int) -> None:
        self._add(WAIT, f"wait {cycles}", cycles=cycles)

    def reset(self) -> None:
        """Resets the array at once; a restart and an `age` should follow."""
        self._add(RESET, "reset")
        if self.twin:
            self.twin.charge[:] = 0
            self.twin.sampled[:] = 0

    def run(self, built: Verilated | None = None) -> list[int]:
        """What comes out, in order."""
        self.time()
        with (built or build(self.params, self.images)).new() as model:
            model.reset()
            got = model.stream(self.words, until=len(self.expected)).words_out
        return [int(word) for word in got[:, 0]]

    def check(self, built: Verilated | None = None, hint: str = "") -> list[int]:
        """Compares; returns what came out."""
        got = self.run(built)
        assert len(got) == len(self.expected)
        out = iter(enumerate(zip(got, self.expected, strict=True)))
        for place, text in enumerate(self.said):
            if not text.startswith(("convert", "time")):
                continue
            n, (word, want) = next(out)
            if want is not None and word != want:
                raise AssertionError(
                    f"{hint}: output {n}, command {place}: twin {want}, RTL {word} "
                    f"after {self.said[max(place - 6, 0) : place + 1]}"
                )
        return got
