"""Crossbar dendrites: a neuron's input sum from banks of memristive devices.

The equations. x(j) is the value of source j's event in this step, 0 without one, 1 for a spike; j
counts through all inputs of the neuron's population, projection by projection in the order of the
Program, source neuron by source neuron, whether a weight is 0 or not. Source j drives row
r = j % `rows` of tile t = j // `rows`. Neuron i stands in block b = i // `neurons`, at place
n = i % `neurons` there; it has `width` logical columns q = n * width .. n * width + width - 1,
which are physical columns column(b, q). Devices, reads, charges, codes:
hdl/params/crossbar/array.py with seed `seed`, of which block b is entity b (populations have seeds
of their own); ages, references, gains and offsets are data of the population.

With p = `value_bits` (0: all events are spikes) an update makes these reads, for each block in
order, for each tile in order, for each sign in (+1, -1), or only +1 with p = 0, with `sense` if
`sampling`::

    input "serial"   for k = 0 .. max(p, 1) - 1:
                         D = {r: sign * x > 0 and bit k of |x| is 1}
                         one read of D, unless it is empty; place = 2**k
    input "width"    for u = 0 .. max(2**p, 2) - 2:
                         D = {r: sign * x > 0 and |x| > u}
                         a read of D that holds the charge if u > 0, until D is empty
                         then, if there was any, place = 1

(values below -(2**p - 1) don't occur). After each read, or train of reads, that took place, with
the codes of the range MVM, or COUNT if `sampling`::

    d(n) = sum over even i < width of code(q + i) - sum over odd i < width of code(q + i)
                                                              sampling "none" or "ternary"
    d(n) = 2 * code(q) - number of driven rows (of all reads of a train)   sampling "binary"
    acc(i) += sign * place * factor(b, t, n) * d(n)

and the input sum of neuron i is (acc(i) + 2**(f-1)) >> f, f = `fraction`. A weight of sampling
"none" is so the sum of `devices` differential pairs; one of "binary" is +1 or -1 and one of
"ternary" -1, 0 or +1, drawn anew in each read.

A clear restarts the generators: every sample sees the same draws, another seed gives others.

Data of a population (`Population.arrays`, int64)::

    conductance  [blocks, tiles, rows, columns]   g_p, 0..2**cell_bits - 1
    exponent     [blocks, tiles, rows, columns]   nu, 0..511
    read_noise   [128]                            the device's table
    age          [3]                              log_age, fresh, slow
    reference    [blocks, tiles, columns]         0..2**(cell_bits + 1) - 1; only if sampling
    column       [blocks, neurons * width]        physical columns, distinct in a block
    factor       [blocks, tiles, neurons]         0..65535
    gain, offset [converters]                     of the range MVM; not if sampling

The columns of a core's banks belong to its own neurons: a core has whole blocks of one population.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.crossbar.array import GAIN_BITS, OFFSET_BITS
from hdl.params.crossbar.device import ENTRIES, LOG_AGE_BITS, NU_BITS, READ_BITS
from hdl.params.crossbar.noise import MOST_COLUMNS
from hdl.params.sc.unit import check_choice, check_integer

__all__ = ["FACTOR_BITS", "Crossbar"]

FACTOR_BITS = 16
SAMPLING = ("none", "binary", "ternary")


@dataclass(frozen=True, kw_only=True)
class Crossbar:
    """What a crossbar population computes, but for its data; it does not depend on the mapping.

    Parameters
    ----------
    rows, columns : of a bank, spare columns counted; 1..1024, 1..128.
    spares : columns that no neuron has unless another one is broken.
    devices : differential pairs of a weight, 1..8; 1 if `sampling`.
    sampling : "none" (analogue sums), "binary" or "ternary" (weights are drawn).
    input : "serial" or "width": how values of several bits are driven.
    value_bits : p, magnitudes of event values are at most 2**p - 1; 0 for spikes; 0..12.
    cell_bits : of a conductance, 8..12.
    adc_bits : 1..16.
    converters : of a bank, 1..columns.
    fraction : f, 1..24.
    seed : of the reads.
    device : name of the device, for the record.
    correlated : whether part of the read noise stays (ages with slow > 0), for the record.
    """

    rows: int
    columns: int
    spares: int = 0
    devices: int = 1
    sampling: str = "none"
    input: str = "serial"
    value_bits: int = 0
    cell_bits: int = 10
    adc_bits: int = 8
    converters: int = 1
    fraction: int = 12
    seed: int = 0
    device: str = ""
    correlated: bool = False

    def __post_init__(self) -> None:
        check_integer("rows", self.rows, 1, 1024)
        check_integer("columns", self.columns, 1, MOST_COLUMNS)
        check_integer("spares", self.spares, 0, self.columns - 1)
        check_choice("sampling", self.sampling, SAMPLING)
        check_choice("input", self.input, ("serial", "width"))
        check_integer("devices", self.devices, 1, 8 if self.sampling == "none" else 1)
        check_integer("value_bits", self.value_bits, 0, 12)
        check_integer("cell_bits", self.cell_bits, 8, 12)
        check_integer("adc_bits", self.adc_bits, 1, 16)
        check_integer("converters", self.converters, 1, self.columns)
        check_integer("fraction", self.fraction, 1, 24)
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        if self.neurons < 1:
            raise ValueError(
                f"columns must be at least {self.width + self.spares} for one weight of "
                f"{self.width} columns beside {self.spares} spare ones, not {self.columns}"
            )

    @property
    def width(self) -> int:
        """Columns of a neuron."""
        return {"none": 2 * self.devices, "binary": 1, "ternary": 2}[self.sampling]

    @property
    def neurons(self) -> int:
        """Neurons of a block."""
        return (self.columns - self.spares) // self.width

    @property
    def train(self) -> int:
        """Most reads whose charges add up."""
        return max((1 << self.value_bits) - 1, 1) if self.input == "width" else 1

    def blocks(self, size: int) -> int:
        """Blocks of a population of `size` neurons."""
        return -(-size // self.neurons)

    def tiles(self, sources: int) -> int:
        """Tiles of a block with so many sources."""
        return max(-(-sources // self.rows), 1)

    def data(self, size: int, sources: int) -> dict[str, tuple[tuple[int, ...], int, int]]:
        """Of a population with so many neurons and sources: of each of its arrays the shape, and
        the least and most value."""
        blocks, tiles = self.blocks(size), self.tiles(sources)
        cells = (blocks, tiles, self.rows, self.columns)
        top = (1 << self.cell_bits) - 1
        found = {
            "conductance": (cells, 0, top),
            "exponent": (cells, 0, (1 << NU_BITS) - 1),
            "read_noise": ((ENTRIES,), 0, (1 << READ_BITS) - 1),
            "age": ((3,), 0, (1 << LOG_AGE_BITS) - 1),
            "column": ((blocks, self.neurons * self.width), 0, self.columns - 1),
            "factor": ((blocks, tiles, self.neurons), 0, (1 << FACTOR_BITS) - 1),
        }
        if self.sampling != "none":
            return found | {"reference": ((blocks, tiles, self.columns), 0, 2 * top + 1)}
        half = 1 << (OFFSET_BITS - 1)
        each = (self.converters,)
        return found | {
            "gain": (each, 0, (1 << GAIN_BITS) - 1),
            "offset": (each, -half, half - 1),
        }
