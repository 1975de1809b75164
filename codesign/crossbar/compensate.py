"""What makes up for drift: factors of sums, references of sampled weights, from calibration reads.

Sums: every row alone is read once; a neuron's readout is the sum of |d| over the rows of a tile
(hdl/params/crossbar/controller.py, "Calibrate"), as it was at the age of the compiled Program and
as it is now. Samples: all rows are read at once with `sense` and the ones of each column counted;
its reference is the one, found by bisection, that comes nearest to the count of then.

Rows without a source, and columns without a neuron, are left out: their devices are off, and fare
otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from codesign.crossbar.devices import of_weights
from hdl.params.crossbar.core import CrossbarParams
from hdl.params.crossbar.dendrites import FACTOR_BITS, Crossbar
from hdl.params.crossbar.noise import state_of
from sim.golden.crossbar.array import ArrayModel

if TYPE_CHECKING:
    from mapping.program import Population

__all__ = ["array_of", "compensated", "readouts"]

#: Reads of all rows that a column's count is the mean of.
COUNTS = 64


def array_of(p: Population, arrays: dict[str, np.ndarray], seed: int) -> ArrayModel:
    """The emulated array of a population with these data, aged; reads draw from `seed`.

    The slow part of the noise is that of the population's own reads.
    """
    crossbar = p.dendrites
    assert isinstance(crossbar, Crossbar)
    g = arrays["conductance"]
    blocks, tiles, rows, columns = g.shape
    core = CrossbarParams(
        crossbar=crossbar,
        blocks=blocks,
        tiles=tiles,
        read_noise=tuple(arrays["read_noise"].tolist()),
        gain=tuple(arrays["gain"].tolist()) if "gain" in arrays else (),
        offset=tuple(arrays["offset"].tolist()) if "offset" in arrays else (),
    )
    model = ArrayModel(replace(core.array, seed=crossbar.seed))
    model.g_p[:] = g.reshape(-1, rows, columns)
    model.nu[:] = arrays["exponent"].reshape(-1, rows, columns)
    model.ages[0] = arrays["age"]
    if "reference" in arrays:
        model.reference[:] = arrays["reference"].reshape(-1, columns)
    model.age()
    model.first[:] = [state_of(seed, block) for block in range(blocks)]
    model.restart()
    return model


def readouts(
    p: Population, arrays: dict[str, np.ndarray], seed: int, mine: np.ndarray
) -> np.ndarray:
    """Of each block, tile and place the sum of |d| over rows read alone, int64.

    mine : devices that weights have, bool [blocks, tiles, rows, logical columns].
    """
    c = p.dendrites
    assert isinstance(c, Crossbar)
    model = array_of(p, arrays, seed)
    blocks, tiles, rows, columns = arrays["conductance"].shape
    converter = np.arange(columns) % c.converters
    gain, offset = model.gain[0][converter], model.offset[0][converter]
    sign = np.where(np.arange(c.width) % 2, -1, 1)
    found = np.zeros((blocks, tiles, c.neurons), np.int64)
    for block, tile in np.ndindex(blocks, tiles):
        physical = arrays["column"][block]
        for row in np.flatnonzero(mine[block, tile].any(1)):
            charge = model.read(block * tiles + tile, np.arange(rows) == row)
            code = np.clip((charge * gain + offset + 32768) >> 16, 0, (1 << c.adc_bits) - 1)
            found[block, tile] += np.abs(code[physical].reshape(-1, c.width) @ sign)
    return found * mine[..., :: c.width].any(2)


def _ratio(was: np.ndarray, now: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """factor * was / now, rounded; the factor itself where nothing conducted."""
    top = (1 << FACTOR_BITS) - 1
    scaled = np.where(now > 0, (was * factor + (now >> 1)) // np.maximum(now, 1), top)
    return np.where(was > 0, np.minimum(scaled, top), factor)


def _counts(model: ArrayModel, reference: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Ones [banks, columns] in COUNTS reads of `rows` [banks, rows] at references."""
    model.reference[:] = reference.reshape(model.reference.shape)
    model.restart()
    return np.array([
        sum(model.read(bank, drive, sense=True) for _ in range(COUNTS))
        for bank, drive in enumerate(rows)
    ])  # fmt: skip


def _references(
    p: Population, now: dict[str, np.ndarray], kind: str, seed: int, mine: np.ndarray
) -> np.ndarray:
    """References at which about as many ones are read as then, of a bank or of each column."""
    was, columns = p.arrays["reference"], np.zeros_like(p.arrays["reference"], dtype=bool)
    at = np.broadcast_to(p.arrays["column"][:, None], (*was.shape[:2], mine.shape[3]))
    np.put_along_axis(columns, at, mine.any(2), axis=-1)
    rows = mine.any(3).reshape(-1, mine.shape[2])
    wanted = _counts(array_of(p, p.arrays, seed), was, rows).reshape(was.shape)
    model = array_of(p, now, seed)

    def excess(reference: np.ndarray) -> np.ndarray:
        more = _counts(model, reference, rows).reshape(was.shape) - wanted
        return np.where(columns, more, 0).sum(-1, keepdims=True) if kind == "global" else more

    low, high = np.zeros_like(was), was.copy()  # too many ones at low, drift only lowers
    while (high - low > 1).any():
        middle = (low + high) >> 1
        many = excess(middle) > 0
        low, high = np.where(many, middle, low), np.where(many, high, middle)
    return np.where(excess(low) < -excess(high), low, high)


def compensated(
    p: Population, arrays: dict[str, np.ndarray], kind: str, seed: int, sources: int
) -> dict[str, np.ndarray]:
    """`arrays` of a population whose devices have aged since `p.arrays`, made up for.

    kind : "global" (alike in a bank) or "column". seed : of the calibration's reads. sources : that
    feed the population.
    """
    assert isinstance(p.dendrites, Crossbar)
    mine = of_weights(p.dendrites, sources, p.size)
    if "reference" in arrays:
        return {**arrays, "reference": _references(p, arrays, kind, seed, mine)}
    was, now = readouts(p, p.arrays, seed, mine), readouts(p, arrays, seed, mine)
    if kind == "global":
        was, now = was.sum(2, keepdims=True), now.sum(2, keepdims=True)
    return {**arrays, "factor": _ratio(was, now, arrays["factor"])}
