"""The controller of an emulated (or real) array: program-and-verify, products, calibration.

Logical columns. A block has `neurons` places of `width` logical columns (Crossbar); logical column
q of block b is physical column column(b, q), at first q. Physical columns from neurons * width on
are spares, taken in ascending order. Devices: hdl/params/crossbar/device.py, reads and pulses:
hdl/params/crossbar/array.py.

Verify, of one device::

    E = sum of the codes, range VERIFY, of 2**averages reads of its row alone    (column converted)
    m = (E << u) with u = max(cell_bits - adc_bits, 0)     in units of 2**-averages of conductance

Program a device to `target` (0..2**cell_bits - 1), with A = averages::

    pulses = 0;  level = target
    verify; while |m - (target << A)| > tolerance << A:
        if pulses == max_pulses: the device failed; stop
        kind "write": policy "redraw": level stays
                      policy "feedback", if pulses > 0:
                          level = clip(level - ((m - (target << A)) >> (A + 1)))
                      WRITE level
        kind "pulse": SET if m < target << A else RESET
        pulses += 1; verify

with clip as for a conductance. A device within tolerance takes no pulse, so programming a block
again is a refresh.

Program block b: for each logical column q in order, for each tile t, for each row r: program
the device to TARGET(b, q, t, r). Where a weight has several pairs (devices > 1), the last column of
each sign of a neuron makes up for the ones before it of that sign: its target is
clip(TARGET + sum over these of (TARGET' - ((m' + 2**(A-1)) >> A))), m' of one new verify each, in
ascending order, before its own (A = 0: m' itself). When column q is through with more than
`fault_limit` failed devices and there is a spare, q moves to the next spare column and is
programmed again from its first device; failures of the column that it left no longer count. The
result: pulses of all devices (up to 2**24 - 1), failed devices, columns moved. Devices that take a
pulse age by clock `epoch` from then on, an operand.

Wear: pulses of each physical column of each bank, counted up to 2**24 - 1.

Update (for learning; devices of kind "pulse"): one SET pulse on one device of a weight, of logical
column n * width + 2 * k + (1 if negative), k = counter % devices, after which the counter, one for
the whole array, counts up (round robin: Boybat et al., Nature Communications 9, 2514, 2018).

Product of block b, tile t: the reads of hdl/params/crossbar/dendrites.py for the values of INPUT;
the answer of place n is (acc + 2**(f-1)) >> f, acc the sum of sign * place * factor(b, t, n) *
d(n).

Calibrate block b, tile t: each row alone is read once, and of every place n the sum over rows of
|d(n)| is its readout, R(n) (codes of range MVM; without `sampling`). "Reference" keeps R(n) and
sets factor to `unit`. "Global" and "column" set, with the kept R0 and the rule
ratio(x, y) = min((x * unit + (y >> 1)) // y, 65535) if y > 0 else 65535::

    column:  factor(b, t, n) = ratio(R0(n), R(n)) if R0(n) > 0 else unit
    global:  factor(b, t, n) = ratio(sum of R0, sum of R) for all n if the sum of R0 > 0 else unit

(Joshi et al. 2020; aihwkit's GlobalDriftCompensation reads one-hot inputs the same way.)

Commands are taken one at a time; each gives one answer, a Product one for each place. A command
that names something that isn't there (a block, tile, row, place, epoch out of range, Update of a
device of kind "write", or a negative one where a weight is one column, Calibrate of an array that
samples) does nothing and gives one answer, of status ERROR and value 0. At first all memories,
kept readouts and counts are 0, but that every factor is `unit`. A reset sets counts (wear, failed,
moved, the one of Update) to 0 and columns to where they were at first; what was configured,
factors and kept readouts stay.

An array that doesn't answer (one in the emulation always does): where it is busy for `patience`
cycles at a stretch, the command is given up, with one answer of status TIMEOUT and value 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hdl.params.crossbar.array import ArrayParams
from hdl.params.crossbar.dendrites import FACTOR_BITS, Crossbar
from hdl.params.sc.unit import check_choice, check_integer

__all__ = ["Command", "ControllerMemory", "ControllerParams", "Status"]

WEAR_BITS, COUNT_BITS, VALUE_BITS = 24, 24, 40


class Command(IntEnum):
    """What a controller does; operands in brackets, the answer's value behind the arrow."""

    RESTART = 0  #: generators of the array back to their first state -> 0
    AGE = 1  #: the array's `age` -> 0
    VERIFY = 2  #: [block, tile, row, column: physical] -> m
    PROGRAM = 3  #: [block, value: epoch] -> pulses; status FAILED if devices failed
    #: [block, tile, row, column: place, value: 2 * epoch + (1 if negative)] -> k
    UPDATE = 4
    PRODUCT = 5  #: [block, tile] -> the answer of place 0, 1, ...
    REFERENCE = 6  #: Calibrate [block, tile] -> sum of readouts
    COLUMN = 7  #: Calibrate [block, tile] -> sum of readouts
    GLOBAL = 8  #: Calibrate [block, tile] -> sum of readouts
    FAILED = 9  #: [block] -> failed devices at its last PROGRAM
    MOVED = 10  #: [block] -> columns moved since reset
    WEAR = 11  #: [block, tile, column: physical] -> pulses
    FACTOR = 12  #: [block, tile, column: place] -> factor
    MAP = 13  #: [block, column: logical] -> physical column


class Status(IntEnum):
    """Status of an answer."""

    DONE = 0
    FAILED = 1  #: some device can't reach its target
    ERROR = 2  #: no such command, block, tile, row, column, epoch
    TIMEOUT = 3  #: the array stayed busy


class ControllerMemory(IntEnum):
    """Memories behind the configuration port, numbered after the array's own (ArrayMemory)."""

    TARGET = 5  #: [((block * places + q) * tiles + tile) * rows + row], places = neurons * width
    FACTOR = 6  #: [(block * tiles + tile) * neurons + n]
    #: [row], what a Product drives: -(2**p - 1)..2**p - 1, or 0..1 if p = 0
    INPUT = 7


@dataclass(frozen=True, kw_only=True)
class ControllerParams:
    """A controller and its array.

    Parameters
    ----------
    array : the array; its rows, columns, cell_bits, adc_bits, converters are those of `crossbar`.
    crossbar : how weights and inputs are laid out.
    tolerance : of program-and-verify, in units of conductance.
    averages : log2 of the reads of a verify, 0..10.
    max_pulses : of one device at a time, 1..4095.
    policy : "redraw" or "feedback" (devices of kind "write").
    fault_limit : failed devices that a column of a block may have before it is moved.
    unit : the factor of an array that has not aged, 1..65535.
    """

    array: ArrayParams
    crossbar: Crossbar
    tolerance: int
    averages: int = 4
    max_pulses: int = 64
    policy: str = "redraw"
    fault_limit: int = 0
    unit: int = 1 << 12

    def __post_init__(self) -> None:
        check_integer("tolerance", self.tolerance, 0, (1 << self.array.cell_bits) - 1)
        check_integer("averages", self.averages, 0, 10)
        check_integer("max_pulses", self.max_pulses, 1, 4095)
        check_choice("policy", self.policy, ("redraw", "feedback"))
        check_integer("fault_limit", self.fault_limit, 0, (1 << 24) - 1)
        check_integer("unit", self.unit, 1, (1 << FACTOR_BITS) - 1)
        a, c = self.array, self.crossbar
        for name in ("rows", "columns", "cell_bits", "adc_bits", "converters"):
            if getattr(a, name) != getattr(c, name):
                raise ValueError(
                    f"{name} must be the same in array and crossbar, "
                    f"not {getattr(a, name)} and {getattr(c, name)}"
                )
        if a.train < c.train:
            raise ValueError(
                f"train of the array must be at least {c.train}, as the crossbar's, not {a.train}"
            )
        if not a.programmable:
            raise ValueError("a controller needs an array that is programmable")
        if c.sampling != "none" and not a.senses:
            raise ValueError("sampling needs an array that senses")

    @property
    def places(self) -> int:
        """Logical columns of a block."""
        return self.crossbar.neurons * self.crossbar.width

    @property
    def patience(self) -> int:
        """Cycles, a power of two; ageing takes about 2 for each device."""
        return 1 << (4 * self.array.cells + 1023).bit_length()
