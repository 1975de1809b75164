"""A model becomes an artefact: Program, Verilog, testbench, constraints, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.artefact import (
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
    from mapping.mapped import Mapped
    from sim.stimulus import Stimulus

__all__ = ["compile_model", "emit_rtl"]

TOP = "nervure"


def emit_rtl(mapped: Mapped, directory: Path) -> None:
    """Writes the fabric's Verilog and memory files."""
    from hdl.emit import emit_verilog
    from hdl.fabric import Fabric

    directory.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(mapped.mesh, mapped.host, mapped.images)
    for name, text in emit_verilog(fabric, TOP).items():
        (directory / name).write_text(text)


def compile_model(
    model: Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    calibration: Stimulus | Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Artefact:
    """Reads a model and writes its artefact to `out`.

    calibration : stimulus that sets number formats and the testbench's vectors (the settings' if
    not given here); without any, random input is used and the report says so. `out` is replaced
    if it is an artefact, and untouched if anything fails.
    """
    from codesign.activity import raster
    from codesign.crossbar.program import program_crossbars
    from codesign.provenance import provenance
    from codesign.report import write_report
    from mapping.importers.load import load_graph
    from mapping.mapper import map_program
    from mapping.quantise import quantise
    from mapping.storage import save
    from sim.export import export_testbench, random_inputs
    from sim.stimulus import quantise_inputs, read_stimulus
    from sim.streams import stream_errors

    settings = settings or Settings()
    model, out = Path(model), Path(out)
    check_output(out)
    target_board = find_board(settings.board)
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
    progress("mapping")
    mapped = map_program(program, settings.target)

    with replacing(out) as beside:
        save(program, beside)
        kept = "model" + (model.suffix.lower() or ".nir")
        shutil.copyfile(model, beside / kept)
        progress("generating Verilog")
        emit_rtl(mapped, beside / "rtl")
        progress("writing the testbench")
        export_testbench(mapped, beside, calibration)
        shown, source = events[0], "random input"
        if calibration is not None:
            shown, source = events[0, : calibration.lengths[0]], f"{_name(calibration)}, sample 0"
        if settings.crossbar.device_table is not None and devices:
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
            {"model": _model_section(graph, program), "quantisation": [asdict(r) for r in layers],
             "streams": [s.to_json() for s in stream_errors(program, events, lengths)],
             "devices": [d.to_json() for d in devices], "mapping": _mapping_section(mapped),
             "raster": raster(program, shown, source),
             "made": provenance(model, settings, calibration)},
        )  # fmt: skip
        progress("writing the report")
        write_report(Artefact.open(beside))
    return Artefact.open(out)


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


def _mapping_section(mapped: Mapped) -> dict[str, Any]:
    flit = mapped.mesh.flit
    return {
        "width": flit.width,
        "height": flit.height,
        "flit_bits": flit.flit_bits,
        "interval": mapped.schedule.interval,
        "depth": mapped.schedule.depth,
        "latency_ticks": mapped.schedule.depth,
        **mapped.stats,
        "notes": [dict(note) for note in mapped.notes],
    }
