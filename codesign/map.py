"""`nervure map`: a model, a graph file or an artefact onto a mesh, and what that comes to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.dryrun import MapReport, fewest_cores, map_graph, measure, over, scored
from codesign.settings import Settings
from hdl.params.errors import UserError
from mapping.connect import connectivity
from mapping.connectivity import Capacity, Connectivity
from mapping.mapped import Target

if TYPE_CHECKING:
    from mapping.program import Program

__all__ = ["Source", "compare", "map_source", "read_source"]

Progress = Callable[[str], None]

#: Settings that a graph has; its weights have all one width.
OF_GRAPHS = ("cores", "width", "height", "neurons", "synapse_bits", "axons", "lanes", "seed",
             "weight_bits")  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What is to be mapped. kind : "graph", "model" or "artefact"; a graph has no program.

    activity : events per step by input and population; None: 1 everywhere. note : where they are
    from.
    """

    kind: str
    graph: Connectivity
    target: Target
    program: Program | None = None
    activity: dict[str, np.ndarray] | None = None
    note: str = ""


def read_source(
    path: Path,
    settings_for: Callable[[], Settings],
    given: dict[str, Any],
    progress: Progress = lambda text: None,
) -> Source:
    """What is in `path`.

    settings_for : all settings of a model, called for one. given : those from the command line
    alone, which are a graph's only ones and go before an artefact's own.
    """
    from codesign.activity import by_name
    from codesign.artefact import Artefact
    from codesign.compile import activity_note, quantise_model
    from mapping.graph_file import is_graph_file, read_graph

    progress(f"reading {path}")
    if path.is_dir():
        artefact = Artefact.open(path)
        target = artefact.settings.with_values(given, "command line").target
        activity = artefact.activity
        note = "events per step: " + (
            "1 everywhere (the artefact says none)" if activity is None else "as it was compiled"
        )
        return _of_program("artefact", artefact.compiled, target, activity, note)
    if not is_graph_file(path):
        settings = settings_for()
        made = quantise_model(path, settings, progress=progress)
        note = activity_note(made)["change"]
        return _of_program(
            "model", made.program, settings.target, by_name(made.program, made.counted), note
        )
    if wrong := sorted(set(given) - set(OF_GRAPHS)):
        raise UserError(
            f"{path}: setting {wrong[0]!r} is of models; a graph has {', '.join(OF_GRAPHS)}"
        )
    settings = Settings().with_values(given, "command line")
    bits = settings.quantisation.weight_bits
    if not isinstance(bits, int):
        raise UserError(f"--weight-bits: a graph's synapses take a number of bits, not {bits!r}")
    return Source(kind="graph", graph=read_graph(path, bits), target=settings.target)


def _of_program(
    kind: str,
    program: Program,
    target: Target,
    activity: dict[str, np.ndarray] | None,
    note: str,
) -> Source:
    from mapping.mapper import spikes_of
    from mapping.network import flatten

    network = flatten(program)
    names = tuple(p.name for p in program.populations)
    graph = connectivity(network, spikes_of(program, network, activity), names)
    return Source(kind=kind, graph=graph, target=target, program=program, activity=activity,
                  note=note)  # fmt: skip


def capacity_of(graph: Connectivity, target: Target, progress: Progress) -> Capacity:
    """Of a target's cores: as many as are given, else about as few as its limits allow."""
    limits = Capacity(
        cores=target.cores or 1,
        slots=target.neurons,
        lanes=target.lanes,
        synapse_bits=target.synapse_bits,
        fan_in=target.axons,
    )
    if target.cores is None:
        return replace(limits, cores=fewest_cores(graph, limits, progress))
    return limits


def map_source(
    source: Source, dry_run: bool, progress: Progress = lambda text: None
) -> tuple[MapReport, Capacity]:
    """The report of a mapping, and what the cores hold.

    dry_run : partition, placement and routes of the graph alone. Else the real mapper, which keeps
    kinds of cores apart and checks every limit of the hardware; it needs a program.
    """
    graph, target = source.graph, source.target
    if dry_run:
        capacity = capacity_of(graph, target, progress)
        mesh = target.width, target.height
        report = map_graph(graph, capacity, mesh, target.seed, progress)
    elif source.program is None:
        raise UserError("a graph has no weights that hardware could be made of; give --dry-run")
    else:
        report, capacity = _built(source, progress)
    notes = [note for note in (source.note,) if note]
    if dry_run and source.program is not None:
        from mapping.kinds import kinds_of

        if len(kinds_of(source.program)) > 1:
            notes.append("kinds of cores are not kept apart in a dry run; leave out --dry-run")
    return replace(report, notes=(*notes, *report.notes)), capacity


def _built(source: Source, progress: Progress) -> tuple[MapReport, Capacity]:
    """By the real mapper."""
    from mapping.mapper import map_program

    assert source.program is not None
    progress("mapping")
    begin = time.perf_counter()
    mapped = map_program(source.program, source.target, source.activity)
    seconds = {"mapping": time.perf_counter() - begin}
    parts = [mapped.slots[p.name] for p in source.program.populations]
    tile_of, slot = (np.concatenate(part) for part in zip(*parts, strict=True))
    tile, core = np.unique(tile_of, return_inverse=True)
    target, flit = source.target, mapped.mesh.flit
    capacity = Capacity(
        cores=len(tile),
        slots=target.neurons,
        lanes=target.lanes,
        synapse_bits=target.synapse_bits,
        fan_in=target.axons,
    )
    report = measure(
        source.graph, capacity, core.astype(np.int32), tile, flit.width, flit.height,
        slot=slot, seconds=seconds, start="the real mapper", progress=progress,
    )  # fmt: skip
    hardware = {
        "flit_bits": flit.flit_bits,
        "host_word_bits": mapped.host.word_bits,
        "tag_bits": flit.tag_bits,
        "routes_per_slot": mapped.stats["routes"],
        "synapse_bits": sum(c["synapse_bits"] for c in mapped.stats["cores"]),
    }
    notes = tuple(f"{n['node']}: {n['change']}; {n['effect']}" for n in mapped.notes)
    return replace(report, hardware=hardware, notes=notes), capacity


def compare(
    graph: Connectivity,
    capacity: Capacity,
    report: MapReport,
    seed: int,
    progress: Progress = lambda text: None,
) -> list[dict[str, Any]]:
    """The same graph, cores and mesh by other means, all placed and routed by ours; ours last.

    {"method", "km1", "links", "traffic", "seconds", "breaks", "skipped"}: seconds of the partition
    alone; breaks: the capacities that it does not keep; skipped: why it was not run, then all else
    is None.
    """
    from codesign.baselines import BASELINES, TITLES, missing
    from mapping.partition import in_layer_order

    rows: list[dict[str, Any]] = []

    def add(method: str, skipped: str, cut: Callable[[], np.ndarray]) -> None:
        row: dict[str, Any] = dict.fromkeys(
            ("method", "km1", "links", "traffic", "seconds", "breaks", "skipped")
        )
        row["method"], row["skipped"] = method, skipped or None
        if not skipped:
            progress(f"partition by {method}")
            begin = time.perf_counter()
            try:
                core = cut()
            except UserError as error:
                row["skipped"] = str(error)
            else:
                row["seconds"] = time.perf_counter() - begin
                progress(f"placement and routes of {method}")
                row |= scored(graph, core, capacity.cores, report.width, report.height, seed)
                row["breaks"] = over(graph, core, capacity)
        rows.append(row)

    add("layer order", "", lambda: in_layer_order(graph, capacity))
    for name, run in BASELINES.items():
        add(TITLES[name], missing(name, graph), partial(run, graph, capacity.cores, seed))
    rows.append(
        {
            "method": "nervure", "km1": report.km1, "links": report.hops["event"],
            "traffic": report.traffic["multicast"], "seconds": report.seconds.get("partition"),
            "breaks": over(graph, report.core, capacity), "skipped": None,
        }
    )  # fmt: skip
    return rows
