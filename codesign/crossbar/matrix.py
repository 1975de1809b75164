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

from codesign.crossbar.program import find, program_weights
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

    shape : rows and columns of the matrix. banks, devices : that hold its weights. pulses :
    of all; histogram : devices that took 0, 1, 2, ... pulses. failed, moved : see the controller.
    tolerance : units of conductance and, in shares of g_max, beside the standard deviation of
    g - target over devices that made it. weight_error : root mean square of the error of a weight
    over the largest weight. seconds, joules : of pulses and verifying reads, one at a time.
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
    except (OSError, ValueError, EOFError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: can't be read as .npy or .npz: {why}") from None
    if isinstance(loaded, np.lib.npyio.NpzFile):
        names = loaded.files
        name = "weights" if "weights" in names else names[0] if len(names) == 1 else None
        if name is None:
            listed = ", ".join(names) or "nothing"
            raise UserError(f"{path}: holds {listed}; name the matrix 'weights'")
        try:
            loaded = loaded[name]
        except ValueError as error:
            raise UserError(f"{path}: {name}: {error}") from None
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
    crossbar = Crossbar(
        rows=crossbars.array_rows,
        columns=crossbars.array_columns,
        spares=crossbars.spare_columns,
        devices=crossbars.pairs,
        cell_bits=crossbars.cell_bits,
        adc_bits=crossbars.adc_bits,
        converters=crossbars.converters,
    )
    program = crossbar_population(program, "matrix", crossbar)
    wanted = targets(program, "matrix")
    made, params = program_weights(crossbar, crossbars, wanted.values, 0, 1 << 16)
    device = find(crossbars)
    used = np.broadcast_to(made.column[:, None, None, :], wanted.values.shape)
    logical = np.take_along_axis(made.conductance, used, axis=-1)
    pairs = logical.reshape(*logical.shape[:3], crossbar.neurons, crossbar.devices, 2)
    reached = (pairs[..., 0] - pairs[..., 1]).sum(-1) * wanted.scale[:, :, None, None]
    blocks, tiles, rows, _ = reached.shape
    whole = reached.transpose(1, 2, 0, 3).reshape(tiles * rows, -1)
    real = whole[: weights.shape[0], : weights.shape[1]] * unit
    pulses = np.take_along_axis(made.pulses, used, axis=-1)
    inside = np.zeros((tiles * rows, blocks, crossbar.neurons), bool)
    inside[: weights.shape[0]].reshape(weights.shape[0], -1)[:, : weights.shape[1]] = True
    meant = inside.reshape(tiles, rows, blocks, -1).transpose(2, 0, 1, 3).repeat(crossbar.width, -1)
    pulses = pulses[meant]
    reads = int((made.pulses.sum() + logical.size) << params.averages)
    read_time = device.t_read or READ_SECONDS
    seconds, joules = PULSES[device.kind]
    siemens = float(logical.mean()) / (1 << (crossbar.cell_bits - 1)) * device.g_max * 1e-6
    full = 1 << (crossbar.cell_bits - 1)
    total = int(made.pulses.sum())
    right = made.error[meant & ~made.failed]
    figures = MatrixOnDevices(
        device=device.name,
        shape=(weights.shape[0], weights.shape[1]),
        banks=blocks * tiles,
        devices=int(pulses.size),
        pulses=total,
        pulses_per_device=total / pulses.size,
        histogram=np.bincount(pulses.reshape(-1)).tolist(),
        failed=int(made.failed.sum()),
        moved=int(made.moved.sum()),
        tolerance_units=params.tolerance,
        tolerance=params.tolerance / full,
        error=float(right.std()) / full if right.size else 0.0,
        weight_error=float(np.sqrt(np.mean((real - weights) ** 2)) / (np.abs(weights).max() or 1)),
        reads=reads,
        seconds=total * seconds + reads * read_time,
        joules=total * joules + reads * READ_VOLTS**2 * siemens * read_time,
    )
    arrays = {
        "conductance": made.conductance, "exponent": made.exponent, "pulses": made.pulses,
        "target": wanted.values, "failed": made.failed, "column": made.column, "weights": real,
    }  # fmt: skip
    return figures, arrays
