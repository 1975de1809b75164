"""A model becomes an artefact: Program, Verilog, testbench, constraints, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.activity import FLOOR
from codesign.artefact import (
    ACTIVITY,
    MARKER,
    VERSION,
    Artefact,
    check_output,
    mapping_digest,
    replacing,
    write_json,
)
from codesign.boards import board as find_board
from codesign.settings import DEVICES, Settings

if TYPE_CHECKING:
    import numpy as np

    from codesign.crossbar.record import LayerOnDevices
    from mapping.graph import Graph
    from mapping.mapped import Mapped
    from mapping.program import Program
    from mapping.report import LayerReport
    from sim.stimulus import Stimulus

__all__ = ["Quantised", "activity_note", "compile_model", "emit_rtl", "quantise_model"]

TOP = "nervure"


def emit_rtl(mapped: Mapped, directory: Path) -> None:
    """Writes the fabric's Verilog and memory files."""
    from hdl.emit import emit_verilog
    from hdl.fabric import Fabric

    directory.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(mapped.mesh, mapped.host, mapped.images)
    for name, text in emit_verilog(fabric, TOP).items():
        (directory / name).write_text(text)


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantised:
    """A model as integers.

    program : crossbars programmed. layers, devices : what quantisation and devices did.
    calibration : what was shown; None: random input. events, lengths : it as integers. counted :
    events per step of inputs and neurons (codesign/activity.py).
    """

    graph: Graph
    program: Program
    layers: list[LayerReport]
    devices: list[LayerOnDevices]
    calibration: Stimulus | None
    events: np.ndarray
    lengths: np.ndarray | None
    counted: np.ndarray


def quantise_model(
    model: Path | str,
    settings: Settings,
    calibration: Stimulus | Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
    graph: Graph | None = None,
) -> Quantised:
    """The first half of `compile_model`: all but the hardware. graph : the model, if it is read."""
    from codesign.activity import measured
    from codesign.crossbar.program import program_crossbars
    from mapping.importers.load import load_graph
    from mapping.quantise import quantise
    from sim.export import random_inputs
    from sim.stimulus import quantise_inputs, read_stimulus

    if graph is None:
        progress(f"reading {model}")
        graph = load_graph(model, settings.options)
    inputs = sum(layer.size for layer in graph.inputs)
    calibration = calibration or settings.calibration
    if isinstance(calibration, str | Path):
        calibration = read_stimulus(calibration, inputs=inputs)

    progress("quantising")
    program, layers = quantise(
        graph,
        None if calibration is None else calibration.inputs,
        settings.quantisation,
        lengths=None if calibration is None else calibration.lengths,
    )
    if calibration is None:
        events, lengths = random_inputs(program), None
    else:
        events, lengths = quantise_inputs(program, calibration), calibration.lengths
    program, devices = program_crossbars(
        program, graph, settings.quantisation, settings.crossbar, events, lengths, progress
    )
    progress("measuring activity")
    return Quantised(
        graph=graph,
        program=program,
        layers=layers,
        devices=devices,
        calibration=calibration,
        events=events,
        lengths=lengths,
        counted=measured(program, events, lengths),
    )


def compile_model(
    model: Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    calibration: Stimulus | Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Artefact:
    """Reads a model and writes its artefact to `out`.

    calibration : stimulus that sets number formats, the activity that the mapping is made for, and
    the testbench's vectors (the settings' if not given here); without any, random input is used
    and the report says so. `out` is replaced if it is an artefact, and untouched if anything fails.
    """
    from codesign.activity import by_name, raster
    from codesign.provenance import provenance
    from codesign.report import write_report
    from mapping.mapper import map_program
    from mapping.storage import save
    from sim.export import export_testbench
    from sim.npz import write_npz
    from sim.streams import stream_errors

    settings = settings or Settings()
    model, out = Path(model), Path(out)
    check_output(out)
    target_board = find_board(settings.board)
    made = quantise_model(model, settings, calibration, progress)
    program, graph, events, lengths = made.program, made.graph, made.events, made.lengths
    calibration = made.calibration
    progress("mapping")
    mapped = map_program(program, settings.target, by_name(program, made.counted))

    with replacing(out) as beside:
        save(program, beside)
        write_npz(beside / ACTIVITY, {"events_per_step": made.counted})
        kept = "model" + (model.suffix.lower() or ".nir")
        shutil.copyfile(model, beside / kept)
        progress("generating Verilog")
        emit_rtl(mapped, beside / "rtl")
        progress("writing the testbench")
        export_testbench(mapped, beside, calibration)
        shown, source = events[0], "random input"
        if calibration is not None:
            shown, source = events[0, : calibration.lengths[0]], f"{_name(calibration)}, sample 0"
        if settings.crossbar.device_table is not None and made.devices:
            shutil.copyfile(settings.crossbar.device_table, beside / DEVICES)
        folder = beside / "constraints"
        folder.mkdir()
        (folder / f"{target_board.name}.lpf").write_text(target_board.lpf)
        write_json(
            beside / MARKER,
            {
                "version": VERSION,
                "name": graph.name or model.stem,
                "model": kept,
                "settings": settings.flat(),
                "mapping": mapping_digest(mapped),
            },
        )
        write_json(
            beside / "report.json",
            {"model": _model_section(graph, program),
             "quantisation": [asdict(r) for r in made.layers],
             "streams": [s.to_json() for s in stream_errors(program, events, lengths)],
             "devices": [d.to_json() for d in made.devices],
             "mapping": _mapping_section(mapped, made),
             "raster": raster(program, shown, source),
             "made": provenance(model, settings, calibration)},
        )  # fmt: skip
        progress("writing the report")
        write_report(Artefact.open(beside))
    return Artefact.open(out)


def activity_note(made: Quantised) -> dict[str, str]:
    """Which activity the mapping was made for."""
    shown = (
        "random input (no calibration data)"
        if made.calibration is None
        else _name(made.calibration)
    )
    mean = float(made.counted.mean()) if len(made.counted) else 0.0
    return {
        "node": "mesh",
        "change": f"mapped for the activity that {shown} causes",
        "effect": f"{mean:.3g} events per step of a source in the mean; silent ones count "
        f"{FLOOR:g}",
    }


def _distinct(notes: list[dict[str, str]]) -> list[dict[str, str]]:
    """Each note once."""
    return [dict(note) for i, note in enumerate(notes) if note not in notes[:i]]


def _name(stimulus: Stimulus) -> str:
    """A stimulus without its folder."""
    return Path(stimulus.source).name


def _model_section(graph: Any, program: Any) -> dict[str, Any]:
    return {
        "name": graph.name,
        "nodes": [dict(node) for node in graph.nodes],
        "edges": [list(edge) for edge in graph.edges],
        "notes": _distinct([*graph.notes, *program.notes]),
        "options": program.options,
        "readout": program.readout,
        "outputs": list(program.outputs),
        "populations": [
            {"name": p.name, "kind": p.kind, "size": p.size, "level": p.level}
            for p in program.populations
        ],
        "inputs": [{"name": i.name, "size": i.size, "graded": i.graded} for i in program.inputs],
        "projections": [
            {"source": p.source, "target": p.target, "delay": p.delay,
             "synapses": len(p.weights), "weight_bits": p.weight_bits}
            for p in program.projections
        ],
    }  # fmt: skip


def _mapping_section(mapped: Mapped, made: Quantised) -> dict[str, Any]:
    flit = mapped.mesh.flit
    return {
        "width": flit.width,
        "height": flit.height,
        "flit_bits": flit.flit_bits,
        "interval": mapped.schedule.interval,
        "depth": mapped.schedule.depth,
        "latency_ticks": mapped.schedule.depth,
        **mapped.stats,
        "notes": [activity_note(made), *(dict(note) for note in mapped.notes)],
    }
