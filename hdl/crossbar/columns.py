"""The bit lines of an array: reads of a row of devices a cycle, and the charges they leave."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import scaled_sum
from hdl.crossbar.pipeline import held
from hdl.crossbar.ports import array_config
from hdl.memory import registered
from hdl.params.crossbar.array import ArrayMemory, ArrayParams
from hdl.params.crossbar.device import SIGMA_BITS
from hdl.params.crossbar.noise import DRAW_BITS
from hdl.params.neuron import bits_for
from hdl.sc.overlap import delayed
from hdl.sc.rom import rom

__all__ = ["Columns"]


class Columns(wiring.Component):
    """Reads (equations: hdl/params/crossbar/array.py).

    A word of the hot memory has what all devices of a row conduct. A device that senses compares by
    the same sum that makes its value: -1 - reference is added to h beforehand, and the sign is the
    answer.

    Parameters
    ----------
    params : the array.
    references : initial contents of REFERENCE.

    Members
    -------
    config : writes REFERENCE.
    bank : of the reads; there 3 cycles before the first `valid`.
    valid, row : a row is read.
    z : the draws of the row of 2 cycles ago.
    clear : for one cycle, charges become 0.
    sense : level, reads compare; there 1 cycle before the first `valid`.
    busy : level, a row is being read; charges are those of all rows in the cycle after it.
    sample : for one cycle, the charges become the `samples`.
    put, to_bank, to_row, to_column, h, s : writes what a device conducts.
    """

    def __init__(self, params: ArrayParams, references: list[int]):
        self.params, self.references = params, references
        p = params
        super().__init__(
            {
                "config": In(array_config(p)),
                "bank": In(bits_for(p.banks)),
                "valid": In(1),
                "row": In(bits_for(p.rows)),
                "z": In(DRAW_BITS * p.columns),
                "clear": In(1),
                "sense": In(1),
                "busy": Out(1),
                "sample": In(1),
                "samples": Out(p.charge_bits * p.columns),
                "put": In(1),
                "to_bank": In(bits_for(p.banks)),
                "to_row": In(bits_for(p.rows)),
                "to_column": In(bits_for(p.columns)),
                "h": In(p.cell_bits),
                "s": In(SIGMA_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        bits = p.cell_bits + SIGMA_BITS
        word, write = registered(
            m, "hot", Cat(self.row, self.bank), 1,
            depth=p.banks << bits_for(p.rows), bits=bits, parts=p.columns,
        )  # fmt: skip
        # From block memory, or from the generator, straight into a multiplier is too long a way.
        word, draws = held(m, "word", word), held(m, "draws", self.z)
        row = Cat(self.to_row, self.to_bank)
        self._write(m, write, row, self.to_column, Cat(self.h, self.s), self.put)
        lift = self._lift(m)

        stages = delayed(m, self.valid, 5, "valid")
        m.d.comb += self.busy.eq(Cat(stages[:-1]).any())
        sense = self.sense if p.senses else Const(0, 1)
        for c in range(p.columns):
            h, s = word[c * bits :][: p.cell_bits], word[c * bits + p.cell_bits :][:SIGMA_BITS]
            z = draws.word_select(c, DRAW_BITS).as_signed()
            noise = held(m, f"noise_{c}", s * z)
            level = held(m, f"level_{c}", h + lift[c])
            value = held(m, f"value_{c}", scaled_sum(noise, p.device.noise_shift, level))
            positive = ~value[-1]
            plain = value[: p.value_bits] & (positive & ~sense).replicate(p.value_bits)
            charge = Signal(p.charge_bits, name=f"charge_{c}")
            with m.If(self.clear):
                m.d.sync += charge.eq(0)
            with m.Elif(stages[-1]):
                m.d.sync += charge.eq(charge + (plain | (positive & sense)))
            with m.If(self.sample):
                m.d.sync += self.samples.word_select(c, p.charge_bits).eq(charge)
        return m

    def _write(self, m, port, address, column, item, enable):
        """Writes one column's item of a word."""
        m.d.comb += port.addr.eq(address)
        for c in range(self.params.columns):
            m.d.comb += [
                (port.data[c] if self.params.columns > 1 else port.data).eq(item),
                port.en[c].eq(enable & (column == c)),
            ]

    def _lift(self, m):
        """Of each column, what is added to h: -1 - reference while `sense`, otherwise 0."""
        p = self.params
        if not p.senses:
            return [0] * p.columns
        bits, config = p.value_bits, self.config
        word, write = registered(
            m, "reference", self.bank, 1, depth=p.banks, bits=bits, parts=p.columns,
            init=[~reference & (1 << bits) - 1 for reference in self.references],
        )  # fmt: skip
        # An item's number is taken apart by a table, where bits of it won't do.
        wide = bits_for(p.columns)
        if p.banks == 1 or p.columns == 1 << wide:
            item = held(m, "item", config.address[: wide + bits_for(p.banks)], 2)
        else:
            numbers = [
                bank << wide | column for bank in range(p.banks) for column in range(p.columns)
            ]
            item = rom(m, "item", config.address, 1, numbers, wide + bits_for(p.banks))
        selected = config.en & (config.memory == ArrayMemory.REFERENCE)
        enable = held(m, "item_en", selected, 2)
        data = ~held(m, "item_data", config.data[:bits], 2)
        self._write(m, write, item[wide:], item[:wide], data, enable)
        lifts = []
        for c in range(p.columns):
            below = Cat(word[c * bits :][:bits], 1).as_signed()
            lifts.append(held(m, f"lift_{c}", Mux(self.sense, below, 0)))
        return lifts
