"""Programming a whole layer: what a compiler asks of a controller."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.crossbar.controller import ControllerParams
from hdl.params.crossbar.device import Age
from sim.golden.crossbar.controller import ControllerModel

__all__ = ["Programmed", "program_layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Programmed:
    """A layer after program-and-verify.

    conductance, exponent : int64 [blocks, tiles, rows, columns], g_p and nu of every device.
    pulses : of the same shape; a column that was left keeps those it took.
    column : int64 [blocks, logical columns], physical columns.
    aim : int64 [blocks, tiles, rows, logical columns], what devices were programmed to: the target,
        and what others of the same weight missed.
    error : g_p - aim. measured : float, last verify - aim. Both in units of conductance.
    failed : bool, devices that missed their aim by more than the tolerance at the last verify.
    moved : int64 [blocks], columns that were given up for a spare one.
    """

    conductance: np.ndarray
    exponent: np.ndarray
    pulses: np.ndarray
    column: np.ndarray
    aim: np.ndarray
    error: np.ndarray
    measured: np.ndarray
    failed: np.ndarray
    moved: np.ndarray


def program_layer(
    params: ControllerParams,
    targets: np.ndarray,
    age: Age,
    *,
    delivered: tuple[np.ndarray, np.ndarray] | None = None,
    stuck: np.ndarray | None = None,
    level: np.ndarray | None = None,
) -> Programmed:
    """Program all blocks of an array once.

    Parameters
    ----------
    targets : integers [blocks, tiles, rows, logical columns] in 0..2**cell_bits - 1.
    age : of devices that were just programmed, which verifies read.
    delivered : g_p and nu [blocks, tiles, rows, columns] that devices have before; None: all 0.
    stuck : bool [blocks, tiles, rows, columns], devices that no pulse changes.
    level : integers of the same shape, g_p of those that are stuck; None: as delivered.

    ValueError for a wrong shape or a value out of range. What is drawn, `params.array` says (seed,
    first_entity): draws of programming are those of inference with the same ones.
    """
    a, top = params.array, (1 << params.array.cell_bits) - 1
    shape, cells = (
        (a.blocks, a.tiles, a.rows, params.places),
        (a.blocks, a.tiles, a.rows, a.columns),
    )
    model = ControllerModel(params)
    model.target[:] = _checked("targets", targets, shape, top).transpose(0, 3, 1, 2)
    if delivered is not None:
        for name, array, most in (("g_p", model.array.g_p, top), ("nu", model.array.nu, 511)):
            given = _checked(name, delivered[name == "nu"], cells, most)
            array[:] = given.reshape(array.shape)
    if stuck is not None:
        mask = _checked("stuck", stuck, cells, 1).astype(bool)
        model.array.stuck[:] = mask.reshape(model.array.stuck.shape)
        if level is not None:
            left = mask.reshape(model.array.g_p.shape)
            model.array.g_p[left] = _checked("level", level, cells, top)[mask]
            model.array.nu[left] = 0
    for epoch in range(a.epochs):
        model.array.set_age(epoch, age)
    model.array.age()
    for block in range(a.blocks):
        model.program(block)
    g = model.array.g_p.reshape(cells).astype(np.int64)
    aim, measured, failed = (
        np.ascontiguousarray(found.transpose(0, 2, 3, 1))
        for found in (model.aim, model.measured, model.failed)
    )
    used = np.broadcast_to(model.column[:, None, None, :], shape)
    return Programmed(
        conductance=g,
        exponent=model.array.nu.reshape(cells).astype(np.int64),
        pulses=model.pulses,
        column=model.column,
        aim=aim,
        error=np.take_along_axis(g, used, axis=-1) - aim,
        measured=measured / (1 << params.averages) - aim,
        failed=failed,
        moved=model.moved,
    )


def _checked(name: str, value: np.ndarray, shape: tuple[int, ...], most: int) -> np.ndarray:
    """`value`, an array of integers (or bool) of this shape in 0..most."""
    value = np.asarray(value)
    if value.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, not {value.shape}")
    if not np.issubdtype(value.dtype, np.integer) and value.dtype != bool:
        raise TypeError(f"{name} must be integers, not {value.dtype}")
    if value.size and not 0 <= value.min() <= value.max() <= most:
        at = tuple(int(k) for k in np.argwhere((value < 0) | (value > most))[0])
        raise ValueError(f"{name}{list(at)} must be in 0..{most}, not {value[at]}")
    return value
