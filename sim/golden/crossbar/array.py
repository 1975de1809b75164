"""The emulated array, by the equations of hdl/params/crossbar/array.py.

The functions in front work on plain arrays and may be called from compiled loops; `state`, uint64
[2], is the generator of the bank's block and advances. `ArrayModel` keeps the arrays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.crossbar.array import ArrayMemory, ArrayParams, Pulse, ReadRange
from hdl.params.crossbar.device import NU_BITS, Age
from hdl.params.crossbar.noise import MOST_COLUMNS, state_of
from sim.golden.crossbar.device import Tables, conduct, programmed, read, tables_of
from sim.golden.crossbar.lanes import ANGLES, LANES, add_reads, add_sensed
from sim.golden.crossbar.noise import advance, column_draw, draw_row

__all__ = ["ArrayModel", "age_cells", "code_of", "pulse_cell", "read_bank", "read_cell",
           "whole_chunks"]  # fmt: skip

#: Rows whose values add up in 16 bits: 14 * (4095 + 508) < 2**16.
_BATCH = 14


def whole_chunks(columns: int) -> int:
    """Columns, rounded up to what `read_bank` takes."""
    return -(-columns // LANES) * LANES


@njit(cache=True, nogil=True)
def _flush(room, charge):
    for c in range(len(charge)):
        charge[c] += room[c]
    room[:] = 0


@njit(cache=True, nogil=True)
def read_bank(state, rows, h, s, bits, sense, reference, room, charge):
    """One read of a bank: adds to `charge`, int64 [columns], or as many as are wanted.

    rows : numbers of the driven rows, ascending.
    h, s : int16 and uint8 [rows, whole_chunks(columns)] of the bank, of `bits` = cell_bits.
    reference : int16 [whole_chunks(columns)], only used with `sense`.
    room : uint16 zeros [MOST_COLUMNS], which are left at 0.
    """
    s0, s1, shift, pending = state[0], state[1], np.int16(bits - 5), 0
    chunks = min((len(charge) + LANES - 1) // LANES, h.shape[1] // LANES)
    for r in rows:
        for chunk in range(chunks):
            if sense:
                add_sensed(ANGLES, chunk, s0, s1, shift, r, h, s, room, reference)
            else:
                add_reads(ANGLES, chunk, s0, s1, shift, r, h, s, room)
        s0, s1 = advance(s0, s1)
        pending += 1
        if pending == _BATCH:
            _flush(room, charge)
            pending = 0
    _flush(room, charge)
    state[0], state[1] = s0, s1


@njit(cache=True, nogil=True)
def read_cell(state, h, s, row, column, bits):
    """Charge of one column after a read of one row alone (h, s of the bank)."""
    return read(h[row, column], s[row, column], column_draw(state, column), bits)


@njit(cache=True, nogil=True)
def code_of(charge, gain, offset, adc_bits):
    """Code of a conversion with a converter's gain and offset (ranges MVM and VERIFY)."""
    code = (charge * gain + offset + 32768) >> 16
    return min(max(code, 0), (1 << adc_bits) - 1)


@njit(cache=True, nogil=True)
def pulse_cell(d, state, cells, ages, row, column, kind, level, epoch):
    """A pulse on one device of a bank.

    d : Tables of the device.
    cells : (g_p, nu, epoch, stuck, h, s), arrays [rows, columns] of the bank.
    ages : int64 [epochs, 3].
    """
    z1, z2, z3 = column_draw(state, column), column_draw(state, column), column_draw(state, column)
    g_p, nu, epochs, stuck, h, s = cells
    if stuck[row, column]:
        return
    made, exponent = programmed(d, kind, level, g_p[row, column], z1, z2)
    g_p[row, column], nu[row, column], epochs[row, column] = made, exponent, epoch
    h[row, column], s[row, column] = conduct(d, made, exponent, ages[epoch], z3)


@njit(cache=True, nogil=True)
def age_cells(d, first, g_p, nu, epoch, ages, h, s):
    """h and s of all devices of a block, arrays [rows of all its tiles, columns].

    first : uint64 [2], the generator's first state, which stays as it is.
    """
    state = np.array([first[1], first[0]], np.uint64)
    z = np.empty(MOST_COLUMNS, np.int16)
    for r in range(g_p.shape[0]):
        draw_row(state, z)
        for c in range(g_p.shape[1]):
            age = ages[epoch[r, c]]
            h[r, c], s[r, c] = conduct(d, g_p[r, c], nu[r, c], age, np.int64(z[c]))


class ArrayModel:
    """Golden twin of `hdl.crossbar.array.Array`.

    Members
    -------
    g_p, nu, epoch, stuck, h, s : [banks, rows, columns]; int16, int16, uint8, uint8, int16, uint8.
    ages : int64 [epochs, 3].
    reference : int16 [banks, columns].
    gain, offset : int64 [MVM and VERIFY, converters].
    first, states : uint64 [blocks, 2], generators after a restart, and now.
    charge, sampled : int64 [columns].
    """

    def __init__(self, params: ArrayParams) -> None:
        self.params = p = params
        self.tables: Tables = tables_of(p.device)
        shape, whole = (p.banks, p.rows, p.columns), whole_chunks(p.columns)
        self.g_p, self.nu = np.zeros((2, *shape), np.int16)
        self.epoch, self.stuck = np.zeros((2, *shape), np.uint8)
        self._h = np.zeros((p.banks, p.rows, whole), np.int16)
        self._s = np.zeros((p.banks, p.rows, whole), np.uint8)
        self._reference = np.zeros((p.banks, whole), np.int16)
        self.h, self.s, self.reference = (
            a[..., : p.columns] for a in (self._h, self._s, self._reference)
        )
        self.ages = np.zeros((p.epochs, 3), np.int64)
        self.gain, self.offset = np.array(p.gains, np.int64), np.array(p.offsets, np.int64)
        states = [state_of(p.seed, p.first_entity + block) for block in range(p.blocks)]
        self.first = np.array(states, dtype=np.uint64)
        self.charge, self.sampled = np.zeros((2, p.columns), np.int64)
        self._room = np.zeros(MOST_COLUMNS, np.uint16)
        self.restart()

    def configure(self, memory: ArrayMemory, address: int, data: int) -> None:
        """Write one item, as the configuration port does."""
        p = self.params
        if memory == ArrayMemory.CELL:
            at = np.unravel_index(address, self.g_p.shape)
            for array, bits in (
                (self.g_p, p.cell_bits),
                (self.nu, NU_BITS),
                (self.epoch, p.epoch_bits),
                (self.stuck, 1),
            ):
                array[at] = data & ((1 << bits) - 1)
                data >>= bits
        elif memory == ArrayMemory.STATE:
            self.first[divmod(address, 2)] = data
        elif memory == ArrayMemory.REFERENCE:
            self.reference[divmod(address, p.columns)] = data
        elif memory == ArrayMemory.AGE:
            self.ages[divmod(address, 4)] = data
        else:
            word, signed = address & 1, data
            if word and data >> 25 & 1:
                signed -= 1 << 26
            (self.offset if word else self.gain)[divmod(address >> 1, p.converters)] = signed

    def restart(self) -> None:
        """Generators to their first state."""
        self.states = self.first.copy()

    def set_age(self, epoch: int, age: Age) -> None:
        self.ages[epoch] = age.log_age, age.fresh, age.slow

    def age(self) -> None:
        """What all devices conduct, anew; generators to their first state."""
        p = self.params
        shape = (p.blocks, p.tiles * p.rows, p.columns)
        cells = (
            a.reshape(*shape[:2], -1) for a in (self.g_p, self.nu, self.epoch, self._h, self._s)
        )
        for first, g_p, nu, epoch, h, s in zip(self.first, *cells, strict=True):
            age_cells(self.tables, first, g_p, nu, epoch, self.ages, h, s)
        self.restart()

    def read(
        self, bank: int, drive: np.ndarray, *, hold: bool = False, sense: bool = False
    ) -> np.ndarray:
        """Read the rows where `drive` [rows] is not 0; the charges, int64 [columns], as a copy."""
        if not hold:
            self.charge[:] = 0
        read_bank(
            self.states[bank // self.params.tiles], np.flatnonzero(drive), self._h[bank],
            self._s[bank], self.params.cell_bits, sense, self._reference[bank], self._room,
            self.charge,
        )  # fmt: skip
        return self.charge.copy()

    def sample(self) -> None:
        self.sampled[:] = self.charge

    def convert(self, column: int, kind: ReadRange) -> int:
        """Code of a column's sampled charge."""
        charge = int(self.sampled[column])
        if kind == ReadRange.COUNT:
            return charge
        a = column % self.params.converters
        gain, offset = int(self.gain[kind, a]), int(self.offset[kind, a])
        return int(code_of(charge, gain, offset, self.params.adc_bits))

    def cells(self, bank: int) -> tuple[np.ndarray, ...]:
        """(g_p, nu, epoch, stuck, h, s) of a bank, for `pulse_cell` and `read_cell`."""
        names = (self.g_p, self.nu, self.epoch, self.stuck, self._h, self._s)
        return tuple(array[bank] for array in names)

    def pulse(
        self, bank: int, row: int, column: int, kind: Pulse, level: int = 0, epoch: int = 0
    ) -> None:
        """One pulse; `level` is that of a WRITE."""
        pulse_cell(
            self.tables, self.states[bank // self.params.tiles], self.cells(bank), self.ages,
            row, column, int(kind), level, epoch,
        )  # fmt: skip
