"""The emulated array: banks of memristive devices behind the port of a real macro.

An array has `blocks` blocks of `tiles` banks; a bank is `rows` word lines by `columns` bit lines.
bank = block * tiles + tile. Each block has one noise generator (hdl/params/crossbar/noise.py),
which starts at `state_of(seed, first_entity + block)`, at a `restart` again. Device equations and
their `h`, `s`, `v`: hdl/params/crossbar/device.py.

Read (`strobe`, of one bank): for every driven row r in ascending order, one row of draws z and ::

    v(r, c)    = max(0, h(r, c) + noise(s(r, c), z(c)))
    charge(c) += v(r, c)                              or, with `sense`,
    charge(c) += 1 if v(r, c) > reference(bank, c)

The charge begins at 0, or with `hold` at what it was: a train of pulses is a sequence of reads that
hold. A read of no row draws nothing and, without `hold`, leaves charges of 0. `sample` copies the
charges to where the converter reads them.

Conversion of a column c, by converter a = c % `converters`, in a `range`::

    MVM, VERIFY  code = min(max((charge * gain[range][a] + offset[range][a] + 2**15) >> 16, 0),
                            2**adc_bits - 1)
    COUNT        code = charge

Pulse on a device (bank, row, column): three rows of draws, of which column c's are z1, z2, z3;
the device restarts its own age: it ages by clock `epoch` from now on. `ages` holds an Age for each
epoch. h and s are those of that age.

Ageing (`age`): h and s of all devices anew, from g_p, nu and the age of their epoch. Each block
starts its generator at (s1, s0) of `state_of`, the words swapped; tile by tile, row by row it takes
one row of draws, of which column c's is the z of device (row, c); then the generator is where
a `restart` puts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hdl.params.crossbar.device import NU_BITS, DeviceParams
from hdl.params.crossbar.noise import MOST_COLUMNS
from hdl.params.neuron import bits_for
from hdl.params.sc.unit import check_integer

__all__ = ["ArrayMemory", "ArrayParams", "Pulse", "ReadRange"]

#: Most devices of an array.
MOST_CELLS = 1 << 24
GAIN_BITS, OFFSET_BITS = 18, 26


class Pulse(IntEnum):
    """Kinds of programming pulses. SET is for devices of kind "pulse", WRITE for "write"."""

    RESET = 0
    SET = 1
    WRITE = 2


class ReadRange(IntEnum):
    """What a conversion is for: a sum over many rows, one device, or a count of `sense`."""

    MVM = 0
    VERIFY = 1
    COUNT = 2


class ArrayMemory(IntEnum):
    """Memories of an array behind its configuration port; item address in brackets."""

    CELL = 0  #: g_p, nu, epoch, stuck, lowest bits first [(bank * rows + row) * columns + column]
    STATE = 1  #: a word of a generator's first state [block * 2 + word]
    REFERENCE = 2  #: [bank * columns + column]
    AGE = 3  #: log_age, fresh, slow [epoch * 4 + 0..2]
    CONVERTER = 4  #: gain, signed offset [(range * converters + converter) * 2 + 0..1]


@dataclass(frozen=True, kw_only=True)
class ArrayParams:
    """An emulated array.

    Parameters
    ----------
    device : what stands at the crossings.
    rows, columns : of a bank, 1..1024 and 1..128.
    train : most reads whose charges add up, 1..4095.
    tiles, blocks : banks that share a generator; generators.
    epochs : clocks that devices can age by, a power of two, 1..8.
    seed, first_entity : of the generators; STATE may say otherwise.
    programmable : whether pulses are built (then the device's tables are in hardware).
    senses : whether `sense` is built.
    adc_bits : of a code, 1..16.
    converters : converters of a bank, each shared by columns / converters columns; 1..columns.
    gain, offset : of each range MVM, VERIFY, a tuple of one integer for each converter; gains
        0..2**18 - 1, offsets signed 26 bits, in units of 2**-16 codes. None: gains of 2**16 shifted
        so that a full column (MVM) or a full device (VERIFY, at most a code for a unit) just
        fits; no offsets. CONVERTER may say otherwise.
    """

    device: DeviceParams
    rows: int
    columns: int
    tiles: int = 1
    blocks: int = 1
    epochs: int = 1
    seed: int = 0
    first_entity: int = 0
    programmable: bool = True
    senses: bool = True
    adc_bits: int = 8
    converters: int = 1
    gain: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    offset: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    train: int = 1 << 10

    def __post_init__(self) -> None:
        check_integer("rows", self.rows, 1, 1024)
        check_integer("columns", self.columns, 1, MOST_COLUMNS)
        check_integer("train", self.train, 1, 4095)
        check_integer("tiles", self.tiles, 1, 1 << 16)
        check_integer("blocks", self.blocks, 1, 1 << 16)
        check_integer("epochs", self.epochs, 1, 8)
        if self.epochs & (self.epochs - 1):
            raise ValueError(f"epochs must be a power of two, not {self.epochs}")
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        check_integer("first_entity", self.first_entity, 0, (1 << 30) - 1)
        check_integer("adc_bits", self.adc_bits, 1, 16)
        check_integer("converters", self.converters, 1, self.columns)
        if self.cells > MOST_CELLS:
            raise ValueError(f"an array has at most {MOST_CELLS} devices, not {self.cells}")
        for name, low, high in (
            ("gain", 0, (1 << GAIN_BITS) - 1),
            ("offset", -(1 << (OFFSET_BITS - 1)), (1 << (OFFSET_BITS - 1)) - 1),
        ):
            given = getattr(self, name)
            if given is None:
                continue
            if len(given) != 2 or any(len(part) != self.converters for part in given):
                raise ValueError(f"{name} must be two tuples of {self.converters} integers")
            for part in given:
                for value in part:
                    check_integer(name, value, low, high)

    @property
    def banks(self) -> int:
        return self.blocks * self.tiles

    @property
    def cells(self) -> int:
        return self.banks * self.rows * self.columns

    @property
    def cell_bits(self) -> int:
        return self.device.cell_bits

    @property
    def value_bits(self) -> int:
        """Bits of v: h plus noise of at most 255 * 510 / 2**F."""
        top = (1 << self.cell_bits) - 1
        return (top + (255 * 510 >> self.device.noise_shift) + 1).bit_length()

    @property
    def charge_bits(self) -> int:
        """Bits of the charge of a train of reads of all rows."""
        return self.value_bits + bits_for(self.train * self.rows + 1)

    @property
    def code_bits(self) -> int:
        """Bits of a code; with `senses`, a COUNT of a train of reads of all rows fits."""
        count = bits_for(self.train * self.rows + 1) if self.senses else 0
        return max(self.adc_bits, count)

    @property
    def epoch_bits(self) -> int:
        return bits_for(self.epochs)

    @property
    def item_bits(self) -> int:
        """Bits of an item of CELL."""
        return self.cell_bits + NU_BITS + self.epoch_bits + 1

    @property
    def gains(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of each range and converter."""
        if self.gain is not None:
            return self.gain
        most = (1 << GAIN_BITS) - 1

        def fit(bits: int) -> tuple[int, ...]:
            return (min((1 << 16 + self.adc_bits) >> bits, most),) * self.converters

        device = max(self.cell_bits, self.adc_bits)
        return fit(self.cell_bits - 1 + bits_for(self.rows)), fit(device)

    @property
    def offsets(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.offset or ((0,) * self.converters,) * 2  # type: ignore[return-value]
