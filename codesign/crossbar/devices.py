"""Target conductances onto devices: tolerance, faults, converters, program-and-verify.

By the controller's twin, as the hardware would do it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from codesign.crossbar.age import Domain, seed_for
from codesign.crossbar.settings import Crossbars
from hdl.params.crossbar.array import GAIN_BITS, OFFSET_BITS, ArrayParams
from hdl.params.crossbar.controller import ControllerParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from sim.device.device import Device
    from sim.golden.crossbar.layer import Programmed

__all__ = ["crossbar_of", "find", "of_weights", "on_lines", "program_weights", "tolerance_of"]

_DELIVERED, _FAULTS, _CONVERTERS = range(3)  # what random numbers of a layer are for


def find(crossbars: Crossbars) -> Device:
    """The device of these settings."""
    from sim.device.table import find_device

    return find_device(crossbars.device, crossbars.device_table)


def crossbar_of(crossbars: Crossbars) -> Crossbar:
    """What a layer with these settings computes."""
    return Crossbar(
        rows=crossbars.array_rows,
        columns=crossbars.array_columns,
        spares=crossbars.spare_columns,
        devices=crossbars.pairs,
        sampling=crossbars.sampling,
        input=crossbars.coding,
        cell_bits=crossbars.cell_bits,
        adc_bits=crossbars.adc_bits,
        converters=crossbars.converters,
        device=crossbars.device,
        correlated=crossbars.correlated,
    )


def of_weights(crossbar: Crossbar, sources: int, size: int) -> np.ndarray:
    """Which devices [blocks, tiles, rows, logical columns] weights of a layer have, bool."""
    blocks, tiles = crossbar.blocks(size), crossbar.tiles(sources)
    row = np.arange(tiles * crossbar.rows).reshape(1, tiles, -1, 1) < sources
    neuron = np.arange(blocks * crossbar.neurons).reshape(blocks, 1, 1, -1) < size
    return (row & neuron).repeat(crossbar.width, axis=-1)


def on_lines(values: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Of [blocks, tiles, rows, columns] those of logical columns, which stand on `column`."""
    at = np.broadcast_to(column[:, None, None, :], (*values.shape[:3], column.shape[1]))
    return np.take_along_axis(values, at, axis=-1)


def tolerance_of(crossbars: Crossbars, device: Device) -> int:
    """Of program-and-verify, in units; UserError if reads can't tell."""
    from sim.device.integer import noise_floor, read_noise_units

    bits, adc, level = crossbars.cell_bits, crossbars.adc_bits, 1 << (crossbars.cell_bits - 2)
    read = float(read_noise_units(device, level, cell_bits=bits))
    fresh = float(read_noise_units(device, level, cell_bits=bits, correlated=crossbars.correlated))
    floor = float(
        noise_floor(
            device, level, crossbars.program_averages, adc, cell_bits=bits,
            correlated=crossbars.correlated,
        )
    )  # fmt: skip
    half = (1 << bits - adc) // 2 if adc < bits else 0
    if read == 0:  # a target may lie in the middle of a converter's step
        return half
    if fresh < half:  # nothing washes out the step
        floor = max(floor, half)
    tolerance = max(round(crossbars.program_tolerance * read), 1)
    if tolerance < floor:
        least = math.ceil(100 * math.ceil(floor) / read) / 100
        raise UserError(
            f"program_tolerance: {crossbars.program_tolerance:g} standard deviations of a read are "
            f"{tolerance} units of conductance, below what a verify of {device.name} can tell, "
            f"{floor:.2g}; use at least {least:g}, more reads (program_averages), or more ADC bits"
        )
    return tolerance


def _faults(
    crossbars: Crossbars, shape: tuple[int, ...], seed: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(stuck, level) of devices; None if all work."""
    if not crossbars.stuck + crossbars.dead:
        return None, None
    rng = np.random.default_rng([seed, _FAULTS])
    u = rng.random(shape)
    level = rng.integers(0, 1 << (crossbars.cell_bits - 1), shape)
    return u < crossbars.dead + crossbars.stuck, np.where(u < crossbars.dead, 0, level)


def _converters(
    crossbars: Crossbars, count: int, gain: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Gains and offsets of a bank's converters around an ideal gain; in all ranges alike."""
    rng = np.random.default_rng([seed, _CONVERTERS])
    gains = gain * (1 + crossbars.gain_error * rng.standard_normal(count))
    offsets = crossbars.offset_error * 65536 * rng.standard_normal(count)
    most, half = (1 << GAIN_BITS) - 1, 1 << (OFFSET_BITS - 1)
    return (
        tuple(np.clip(np.rint(gains), 0, most).astype(int).tolist()),
        tuple(np.clip(np.rint(offsets), -half, half - 1).astype(int).tolist()),
    )


def program_weights(
    crossbar: Crossbar, crossbars: Crossbars, levels: np.ndarray, number: int, gain: float
) -> tuple[Programmed, ControllerParams]:
    """Program-and-verify of target conductances [blocks, tiles, rows, logical columns].

    The devices are delivered switched off: as a pulse that aims at 0, or a RESET, leaves them.

    number : of the population, for its seeds. gain : of its converters, range MVM.
    """
    from sim.device import emulate
    from sim.device.integer import age, tables
    from sim.golden.crossbar.layer import program_layer

    device = find(crossbars)
    blocks, tiles, rows, _ = levels.shape
    tolerance = tolerance_of(crossbars, device)
    verify = float(1 << 16 - max(crossbar.cell_bits - crossbar.adc_bits, 0))
    seed = seed_for(crossbars.device_seed, Domain.FAULTS, number)
    converters = [_converters(crossbars, crossbar.converters, g, seed) for g in (gain, verify)]
    array = ArrayParams(
        device=tables(device, crossbar.cell_bits),
        rows=rows,
        columns=crossbar.columns,
        tiles=tiles,
        blocks=blocks,
        seed=seed_for(crossbars.device_seed, Domain.PROGRAM, number),
        adc_bits=crossbar.adc_bits,
        converters=crossbar.converters,
        gain=(converters[0][0], converters[1][0]),
        offset=(converters[0][1], converters[1][1]),
        train=max(crossbar.train, 1 << 10),
    )
    params = ControllerParams(
        array=array,
        crossbar=crossbar,
        tolerance=tolerance,
        averages=crossbars.program_averages,
        max_pulses=crossbars.max_pulses,
        policy=crossbars.program_policy,
    )
    cells = (blocks, tiles, rows, crossbar.columns)
    stuck, level = _faults(crossbars, cells, seed)
    rng = np.random.default_rng([seed, _DELIVERED])
    if device.kind == "write":
        delivered = emulate.program(array.device, np.zeros(cells, np.int64), rng)
    else:
        delivered = emulate.reset(array.device, cells, rng)
    clock = age(device, 0.0, correlated=crossbars.correlated)
    made = program_layer(params, levels, clock, delivered=delivered, stuck=stuck, level=level)
    return made, params
