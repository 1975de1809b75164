"""Layers onto devices: from a quantised Program to one whose crossbars are programmed.

For each layer: its banks (mapping/crossbar.py), the converters' range from what the layer's inputs
are like, target conductances of its weights (or of the probabilities of sampled ones), and
program-and-verify of every device (codesign/crossbar/devices.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.crossbar.age import Domain, seed_for
from codesign.crossbar.devices import crossbar_of, find, of_weights, on_lines, program_weights
from codesign.crossbar.ranges import converter_gain, inputs_of
from codesign.crossbar.record import LayerOnDevices
from codesign.crossbar.settings import Crossbars
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import Age
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from hdl.params.crossbar.controller import ControllerParams
    from mapping.crossbar import Targets
    from mapping.graph import Graph
    from mapping.program import Program
    from mapping.settings import Quantisation
    from sim.device.device import Device
    from sim.golden.crossbar.layer import Programmed

__all__ = ["program_crossbars"]


def _levels(crossbar: Crossbar, device: Device, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Target conductances of a layer's targets, and the reference of sampled ones."""
    from sim.device.posterior import level_of

    if crossbar.sampling == "none":
        return values, 0
    if not device.read_sigma(device.g_max / 2):
        raise UserError(
            f"sampling: reads of {device.name} have no noise that could draw weights; use another "
            "device (--device)"
        )
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
        sources = [q.source for q in program.projections if q.target == name]
        gain = converter_gain(crossbar, levels, inputs_of(exact, sources, events, lengths))
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
    program = replace(program, populations=populations)
    record = _record(program, name, device, made, params, wanted, gain)
    if crossbar.sampling != "none":
        error = _chance_error(program, name, params, wanted.values)
        record = replace(record, chance_error=error)
    return program, record


def _chance_error(
    program: Program, name: str, params: ControllerParams, wanted: np.ndarray
) -> float:
    """Root mean square of the difference of sampled and wanted probabilities, over all weights."""
    from mapping.dendrites import crossbar_sources
    from sim.device.posterior import chance_of

    p, c = program.population(name), params.crossbar
    cells, exponents, references, ages = (
        p.arrays[key] for key in ("conductance", "exponent", "reference", "age")
    )
    mine = of_weights(c, crossbar_sources(program, name), p.size)
    g, nu = (on_lines(values, p.arrays["column"])[mine] for values in (cells, exponents))
    reference = int(references.flat[0])
    known, where = np.unique(np.stack([g, nu]), axis=1, return_inverse=True)
    log_age, fresh, slow = ages.tolist()
    clock = Age(log_age=log_age, fresh=fresh, slow=slow)
    chance = chance_of(params.array.device, known[0], known[1], clock, reference)
    return float(np.sqrt(np.mean((chance[where] - wanted[mine]) ** 2)))


def _record(
    program: Program,
    name: str,
    device: Device,
    made: Programmed,
    params: ControllerParams,
    wanted: Targets,
    gain: int,
) -> LayerOnDevices:
    from mapping.dendrites import crossbar_sources

    c = params.crossbar
    mine = of_weights(c, crossbar_sources(program, name), program.population(name).size)
    failed, full = mine & made.failed, params.array.device.full_scale
    reached = made.error[mine & ~made.failed]
    return LayerOnDevices(
        node=name,
        device=device.name,
        sampling=c.sampling,
        blocks=mine.shape[0],
        tiles=mine.shape[1],
        rows=c.rows,
        columns=c.columns,
        devices=int(mine.sum()),
        pulses=int(made.pulses.sum()),
        pulses_per_device=float(on_lines(made.pulses, made.column)[mine].mean()),
        failed=int(failed.sum()),
        moved=int(made.moved.sum()),
        tolerance=params.tolerance / full,
        error=float(reached.std()) / full if reached.size else 0.0,
        adc_step=None if c.sampling != "none" else float(wanted.scale.max() * 65536 / gain),
    )


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
        program = crossbar_population(program, p.name, crossbar_of(crossbars))
        chosen.append(p.name)
    records = []
    for name in chosen:
        progress(f"programming the devices of {name}")
        program, record = _programmed(program, name, crossbars, events, lengths, exact)
        records.append(record)
    notes = (*program.notes, *(record.note for record in records))
    return replace(program, notes=notes), records
