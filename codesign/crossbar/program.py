"""Layers onto devices: from a quantised Program to one whose crossbars are programmed.

For each layer: its banks (mapping/crossbar.py), the converters' range from what the layer's inputs
are like, target conductances of its weights (or of the probabilities of sampled ones), and
program-and-verify of every device by the controller's twin, as the hardware would do it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.crossbar.age import Domain, seed_for
from codesign.crossbar.ranges import converter_gain, inputs_of
from codesign.crossbar.settings import Crossbars
from hdl.params.crossbar.array import GAIN_BITS, ArrayParams
from hdl.params.crossbar.controller import ControllerParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from mapping.graph import Graph
    from mapping.program import Program
    from mapping.settings import Quantisation
    from sim.device.device import Device
    from sim.golden.crossbar.layer import Programmed

__all__ = ["LayerOnDevices", "find", "program_crossbars", "program_weights"]


@dataclass(frozen=True, kw_only=True)
class LayerOnDevices:
    """How a layer was programmed, for the report.

    blocks, tiles : banks. devices : that weights have. pulses : of all of them. failed : devices
    that miss their target by more than the tolerance. moved : columns given up for spare ones.
    tolerance, error : of program-and-verify, and the standard deviation of what was reached, in
    shares of g_max. adc_step : weight units of a converter's step, None if it samples.
    """

    node: str
    device: str
    sampling: str
    blocks: int
    tiles: int
    rows: int
    columns: int
    devices: int
    pulses: int
    failed: int
    moved: int
    tolerance: float
    error: float
    adc_step: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find(crossbars: Crossbars) -> Device:
    """The device of these settings."""
    from sim.device.table import find_device

    return find_device(crossbars.device, crossbars.device_table)


def _tolerance(crossbars: Crossbars, device: Device) -> int:
    """Of program-and-verify, in units; UserError if reads can't tell."""
    from sim.device.integer import noise_floor, read_noise_units

    bits, level = crossbars.cell_bits, 1 << (crossbars.cell_bits - 2)
    correlated = crossbars.correlated
    read = float(read_noise_units(device, level, cell_bits=bits))
    floor = float(
        noise_floor(
            device, level, crossbars.program_averages, crossbars.adc_bits, cell_bits=bits,
            correlated=correlated,
        )
    )  # fmt: skip
    if read == 0:  # without noise a converter's step is what limits
        return max(math.ceil(floor), 1)
    tolerance = max(round(crossbars.program_tolerance * read), 1)
    if tolerance < floor:
        raise UserError(
            f"program_tolerance: {crossbars.program_tolerance:g} standard deviations of a read are "
            f"{tolerance} units of conductance, below what a verify of {device.name} can tell, "
            f"{floor:.2g}; use at least {math.ceil(floor) / read:.2g}, more reads "
            "(program_averages), or more ADC bits"
        )
    return tolerance


def _faults(
    crossbars: Crossbars, shape: tuple[int, ...], seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """(stuck, level) of devices; None if all work."""
    if not crossbars.stuck + crossbars.dead:
        return None
    rng = np.random.default_rng(seed)
    u = rng.random(shape)
    level = rng.integers(0, 1 << (crossbars.cell_bits - 1), shape)
    return u < crossbars.dead + crossbars.stuck, np.where(u < crossbars.dead, 0, level)


def _converters(
    crossbars: Crossbars, gain: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Gains and offsets of a bank's converters around an ideal gain."""
    rng = np.random.default_rng(seed)
    gains = gain * (1 + crossbars.gain_error * rng.standard_normal(crossbars.converters))
    offsets = crossbars.offset_error * 65536 * rng.standard_normal(crossbars.converters)
    most = (1 << GAIN_BITS) - 1
    return (
        tuple(np.clip(np.rint(gains), 0, most).astype(int).tolist()),
        tuple(np.clip(np.rint(offsets), -(1 << 25), (1 << 25) - 1).astype(int).tolist()),
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
    tolerance = _tolerance(crossbars, device)
    verify = float(min(1 << 16 + crossbar.adc_bits - crossbar.cell_bits, 1 << 16))
    faults_seed = seed_for(crossbars.device_seed, Domain.FAULTS, number)
    converters = [_converters(crossbars, g, faults_seed) for g in (gain, verify)]
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
    faults = _faults(crossbars, cells, faults_seed)
    stuck, level = faults or (None, None)
    clock = age(device, 0.0, correlated=crossbars.correlated)
    rng = np.random.default_rng(faults_seed)
    off = np.zeros(cells, np.int64)
    delivered = emulate.program(array.device, off, rng) if device.kind == "write" else (
        emulate.reset(array.device, cells, rng))  # fmt: skip
    made = program_layer(params, levels, clock, delivered=delivered, stuck=stuck, level=level)
    return made, params


def _levels(crossbar: Crossbar, device: Device, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Target conductances of a layer's targets, and the reference of sampled ones."""
    from sim.device.posterior import level_of

    if crossbar.sampling == "none":
        return values, 0
    reference = 1 << (crossbar.cell_bits - 2)  # half of g_max
    known, where = np.unique(values, return_inverse=True)
    levels = level_of(device, known, reference, cell_bits=crossbar.cell_bits,
                      correlated=crossbar.correlated)  # fmt: skip
    return levels[where].reshape(values.shape), reference


def _programmed(
    program: Program,
    name: str,
    crossbars: Crossbars,
    events: np.ndarray,
    lengths: Any,
    exact: Program,
) -> tuple[Program, LayerOnDevices]:
    """The Program with a crossbar population's data; `exact` has no crossbars."""
    from mapping.crossbar import factors, targets
    from sim.device.integer import age, tables

    number = [p.name for p in program.populations].index(name)
    p = program.population(name)
    crossbar = p.dendrites
    assert isinstance(crossbar, Crossbar)
    device = find(crossbars)
    wanted = targets(program, name)
    levels, reference = _levels(crossbar, device, wanted.values)
    gain = 1 << 16
    if crossbar.sampling == "none":
        gain = converter_gain(crossbar, levels, inputs_of(exact, name, events, lengths))
    factor, fraction = factors(program, name, wanted, gain)
    made, params = program_weights(crossbar, crossbars, levels, number, gain)
    clock = age(device, 0.0, correlated=crossbar.correlated)
    arrays = {
        "conductance": made.conductance,
        "exponent": made.exponent,
        "read_noise": np.array(tables(device, crossbar.cell_bits).read_noise, np.int64),
        "age": np.array([clock.log_age, clock.fresh, clock.slow], np.int64),
        "column": made.column.astype(np.int64),
        "factor": factor,
    }
    if crossbar.sampling == "none":
        arrays["gain"] = np.array(params.array.gains[0], np.int64)
        arrays["offset"] = np.array(params.array.offsets[0], np.int64)
    else:
        shape = (*levels.shape[:2], crossbar.columns)
        arrays["reference"] = np.full(shape, reference, np.int64)
    crossbar = replace(
        crossbar, fraction=fraction, seed=seed_for(crossbars.device_seed, Domain.READ, number)
    )
    populations = tuple(
        replace(o, dendrites=crossbar, arrays=arrays) if o.name == name else o
        for o in program.populations
    )
    full = 1 << (crossbar.cell_bits - 1)
    weights = sum(len(q.weights) for q in program.projections if q.target == name)
    report = LayerOnDevices(
        node=name,
        device=device.name,
        sampling=crossbar.sampling,
        blocks=levels.shape[0],
        tiles=levels.shape[1],
        rows=crossbar.rows,
        columns=crossbar.columns,
        devices=weights * crossbar.width,
        pulses=int(made.pulses.sum()),
        failed=int(made.failed.sum()),
        moved=int(made.moved.sum()),
        tolerance=params.tolerance / full,
        error=float(made.error[~made.failed].std()) / full if (~made.failed).any() else 0.0,
        adc_step=None if crossbar.sampling != "none" else float(wanted.scale.max() * 65536 / gain),
    )
    return replace(program, populations=populations), report


def _notes(report: LayerOnDevices) -> dict[str, str]:
    size = f"{report.blocks * report.tiles} banks of {report.rows} x {report.columns}"
    change = f"its weights are {report.devices} devices ({report.device}) in {size}"
    effect = (
        f"{report.pulses / max(report.devices, 1):.3g} pulses a device; they miss their targets by "
        f"{report.error:.2%} of g_max (standard deviation), {report.failed} by more than the "
        "tolerance; reads are noisy and conductances drift"
    )
    if report.moved:
        effect += f"; {report.moved} columns were moved to spare ones"
    return {"node": report.node, "change": change, "effect": effect}


def program_crossbars(
    program: Program,
    graph: Graph,
    settings: Quantisation,
    crossbars: Crossbars,
    events: np.ndarray,
    lengths: np.ndarray | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[Program, list[LayerOnDevices]]:
    """The Program with every layer of engine "crossbar" on devices, and how that went.

    events : int [samples, steps, inputs], a stimulus from which converters get their ranges.
    UserError if a layer can't be on a crossbar, for a device that is not known, a tolerance that
    reads can't tell.
    """
    from mapping.crossbar import crossbar_population

    exact, chosen = program, []
    for p in program.populations:
        nodes = [c.node for c in graph.connections if c.target == p.name and c.node]
        names = (p.name, *nodes)
        if settings.choice("engine", names) != "crossbar":
            continue
        skipped = p.kind == "Delay" or not any(q.target == p.name for q in program.projections)
        if (skipped or p.dendrites is not None) and not settings.named("engine", names):
            continue
        crossbar = Crossbar(
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
        program = crossbar_population(program, p.name, crossbar)
        chosen.append(p.name)
    reports = []
    for name in chosen:
        progress(f"programming the devices of {name}")
        program, report = _programmed(program, name, crossbars, events, lengths, exact)
        reports.append(report)
    notes = (*program.notes, *(_notes(report) for report in reports))
    return replace(program, notes=notes), reports
