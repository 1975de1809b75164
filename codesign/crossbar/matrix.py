"""A weight matrix through program-and-verify: pulses, what is left of the error, time, energy.

Pulses of kind "write" are taken as melting ones of 40 ns and 19.2 pJ, SET pulses as 150 ns and
13.5 pJ: Lee et al., ISCA 2009, 90 nm, as in NVSim's sample_PCRAM.cell. A read takes the device's
t_read (1 us where it has none) and V**2 * g * t_read at .2 V. Converters are not counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.crossbar.devices import crossbar_of, find, of_weights, on_lines, program_weights
from codesign.crossbar.settings import Crossbars
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.neuron import FIELDS
from mapping.crossbar import crossbar_population, targets
from mapping.program import Formats, Input, Population, Program, Projection

__all__ = ["MatrixOnDevices", "program_matrix", "read_matrix"]

#: (seconds, joules) of a pulse, by kind of device; volts and seconds of a read.
PULSES = {"write": (40e-9, 19.2e-12), "pulse": (150e-9, 13.5e-12)}
READ_VOLTS, READ_SECONDS = 0.2, 1e-6
MOST_WEIGHTS = 1 << 24


@dataclass(frozen=True, kw_only=True)
class MatrixOnDevices:
    """What programming took.

    shape : rows and columns of the matrix. banks : that hold it. devices : that its weights have;
    histogram : those that took 0, 1, 2, ... pulses; failed : those that miss their target by more
    than the tolerance. moved : columns given up for spare ones. pulses, reads (of verifies), and
    the seconds and joules of both, one at a time : of all devices of the banks.
    tolerance : in units of conductance and, in shares of g_max, beside `error`, the standard
    deviation of g - target over devices that did not fail. weight_error : root mean square of the
    error of a weight over the largest weight.
    """

    device: str
    shape: tuple[int, int]
    banks: int
    devices: int
    pulses: int
    pulses_per_device: float
    histogram: list[int]
    failed: int
    moved: int
    tolerance_units: int
    tolerance: float
    error: float
    weight_error: float
    reads: int
    seconds: float
    joules: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_matrix(path: Path | str) -> np.ndarray:
    """A matrix of finite numbers from .npy, or the only one (or "weights") of an .npz."""
    path = Path(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded as file:
                names = file.files
                name = "weights" if "weights" in names else names[0] if len(names) == 1 else None
                if name is None:
                    listed = ", ".join(names) or "nothing"
                    raise UserError(f"{path}: holds {listed}; name the matrix 'weights'")
                loaded = file[name]
    except UserError:
        raise
    except Exception as error:  # numpy's, zipfile's and zlib's are many
        why = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise UserError(f"{path}: can't be read as .npy or .npz: {why}") from None
    if loaded.ndim != 2 or loaded.dtype.kind not in "fiu" or not loaded.size:
        raise UserError(f"{path}: must be a matrix of numbers, not {loaded.dtype} {loaded.shape}")
    if loaded.size > MOST_WEIGHTS:
        raise UserError(f"{path}: {loaded.size} weights, at most {MOST_WEIGHTS} are taken")
    if not np.isfinite(loaded).all():
        raise UserError(f"{path}: has numbers that are not finite")
    return loaded.astype(np.float64)


def _program(weights: np.ndarray, bits: int) -> tuple[Program, float]:
    """A Program of one layer with these weights as integers, and what one unit of them is."""
    rows, size = weights.shape
    top = (1 << (bits - 1)) - 1
    unit = float(np.abs(weights).max()) / top or 1.0
    integers = np.rint(weights / unit).astype(np.int64)
    population = Population(
        name="matrix",
        kind="Linear",
        size=size,
        level=1,
        fields={name: np.zeros(size, np.int64) for name in FIELDS},
        membrane_scale=np.ones(size),
    )
    projection = Projection(
        source="input",
        target="matrix",
        indptr=np.arange(rows + 1, dtype=np.int64) * size,
        indices=np.tile(np.arange(size, dtype=np.int64), rows),
        weights=integers.reshape(-1),
        weight_bits=bits,
    )
    program = Program(
        name="matrix",
        formats=Formats(),
        inputs=(Input(name="input", size=rows),),
        populations=(population,),
        projections=(projection,),
        outputs=("matrix",),
    )
    return program, unit


def _weights(logical: np.ndarray, crossbar: Crossbar, scale: np.ndarray) -> np.ndarray:
    """What conductances stand for, [tiles * rows, places], in weight units."""
    blocks, tiles, rows, _ = logical.shape
    pairs = logical.reshape(blocks, tiles, rows, crossbar.neurons, crossbar.devices, 2)
    reached = (pairs[..., 0] - pairs[..., 1]).sum(-1) * scale[:, :, None, None]
    return reached.transpose(1, 2, 0, 3).reshape(tiles * rows, -1)


def program_matrix(
    weights: np.ndarray, crossbars: Crossbars, *, weight_bits: int = 8
) -> tuple[MatrixOnDevices, dict[str, np.ndarray]]:
    """Programs float weights [rows, columns] onto devices.

    Returns the figures, and arrays: "conductance", "exponent", "pulses" [blocks, tiles, rows,
    columns], "target", "failed" [blocks, tiles, rows, logical columns], "column", "weights" (what
    the conductances stand for, without noise of reads).
    """
    if crossbars.sampling != "none":
        raise UserError("sampling: a matrix is programmed as it is; leave it out")
    if not 2 <= weight_bits <= 16:
        raise UserError(f"weight_bits: must be in 2..16, not {weight_bits}")
    program, unit = _program(weights, weight_bits)
    program = crossbar_population(program, "matrix", crossbar_of(crossbars))
    crossbar = program.population("matrix").dendrites
    assert isinstance(crossbar, Crossbar)
    wanted = targets(program, "matrix")
    made, params = program_weights(crossbar, crossbars, wanted.values, 0, 1 << 16)
    device, mine = find(crossbars), of_weights(crossbar, *weights.shape)
    logical = on_lines(made.conductance, made.column)
    real = _weights(logical, crossbar, wanted.scale)[: weights.shape[0], : weights.shape[1]] * unit
    pulses = on_lines(made.pulses, made.column)[mine]
    total, largest = int(made.pulses.sum()), float(np.abs(weights).max()) or 1.0
    reads = (total + logical.size) << params.averages
    read_time = device.t_read or READ_SECONDS
    seconds, joules = PULSES[device.kind]
    full = 1 << (crossbar.cell_bits - 1)
    siemens = float(logical.mean()) / full * device.g_max * 1e-6
    right = made.error[mine & ~made.failed]
    figures = MatrixOnDevices(
        device=device.name,
        shape=(weights.shape[0], weights.shape[1]),
        banks=logical.shape[0] * logical.shape[1],
        devices=int(pulses.size),
        pulses=total,
        pulses_per_device=float(pulses.mean()),
        histogram=np.bincount(pulses.reshape(-1)).tolist(),
        failed=int((made.failed & mine).sum()),
        moved=int(made.moved.sum()),
        tolerance_units=params.tolerance,
        tolerance=params.tolerance / full,
        error=float(right.std()) / full if right.size else 0.0,
        weight_error=float(np.sqrt(np.mean(((real - weights) / largest) ** 2))),
        reads=reads,
        seconds=total * seconds + reads * read_time,
        joules=total * joules + reads * READ_VOLTS**2 * siemens * read_time,
    )
    arrays = {
        "conductance": made.conductance, "exponent": made.exponent, "pulses": made.pulses,
        "target": wanted.values, "failed": made.failed, "column": made.column, "weights": real,
    }  # fmt: skip
    return figures, arrays
