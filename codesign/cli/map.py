"""`map`: a model, a graph or an artefact onto a mesh of cores, with or without building it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.console import Json, Quiet, Terminal
from codesign.cli.design import Config, settings_for
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from codesign.dryrun import MapReport
    from mapping.connectivity import Connectivity

__all__ = ["register"]

#: Populations that the terminal shows.
MOST_POPULATIONS = 24


def map_(
    source: Annotated[
        Path,
        typer.Argument(help="A model, a graph (.npz) or an artefact.", show_default=False),
    ],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Partition, placement and routes only: no memory images."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Mapping to write (.npz).")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Also layer order, networkx (small graphs), METIS, mt-KaHyPar."
        ),
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option(help="Input (.npz) whose activity a model is mapped for.")
    ] = None,
    cores: Annotated[int | None, typer.Option(help="Cores; as few as fit if not given.")] = None,
    width: Annotated[int | None, typer.Option(help="Columns of the mesh.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows of the mesh.")] = None,
    neurons: Annotated[int | None, typer.Option(help="Most neurons of a core.")] = None,
    synapse_bits: Annotated[int | None, typer.Option(help="Most synapse bits of a core.")] = None,
    axons: Annotated[int | None, typer.Option(help="Most sources (fan-in) of a core.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Synapses per cycle of a core.")] = None,
    weight_bits: Annotated[
        str | None, typer.Option(help="1 to 16, ternary or binary; a graph's where it says none.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of partition and placement.")] = None,
    config: Config = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="SETTING=VALUE, as in a settings file; once for each."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Map a network onto a mesh and report traffic, occupancy and what the hardware can't hold.

    Example: nervure map graph.npz --dry-run --cores 256 --neurons 512 -o mapping.npz
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.map import compare as compared
        from codesign.map import map_source, read_source
        from codesign.settings import assigned
        from codesign.simulate import check_file

        given: dict[str, Any] = {
            "cores": cores, "width": width, "height": height, "neurons": neurons,
            "synapse_bits": synapse_bits, "axons": axons, "lanes": lanes,
            "weight_bits": weight_bits, "seed": seed, "calibration": calibration,
        }  # fmt: skip
        if weight_bits is not None and weight_bits.isdecimal():
            given["weight_bits"] = int(weight_bits)
        given = assigned(settings) | {k: v for k, v in given.items() if v is not None}
        if out is not None:
            check_file(out)
            if out.exists() and out.resolve() == source.resolve():
                raise UserError(f"{out}: is what is to be mapped; give another -o")
        read = read_source(source, lambda: settings_for(terminal, source, config, given), given,
                           work)  # fmt: skip
        report, capacity = map_source(read, dry_run, work)
        rows = compared(read.graph, capacity, report, read.target.seed, work) if compare else []
        if out is not None:
            work(f"writing {out}")
            report.write(out, read.graph)
    terminal.result({"source": str(source), "kind": read.kind, "dry_run": dry_run,
                     **report.to_json(), "comparison": rows})  # fmt: skip
    if not json:
        terminal.show(*_shown(report, rows, read.graph))
        if out is not None:
            terminal.show("", f"Wrote {out}: core, slot, tile, mesh, reach_*, flits.")


def _shown(report: MapReport, rows: list[dict[str, Any]], graph: Connectivity) -> list[Any]:
    """What people see."""
    from codesign.cli.tables import figures, table

    naive, link = report.naive_km1, report.heaviest
    ratio = f" ({report.km1 / naive:.3f} of layer order's {naive:.4g})" if naive else ""
    unicast, before = report.traffic["unicast"], report.traffic["layer order"]
    facts: list[tuple[str, Any]] = [
        ("neurons", report.neurons),
        ("inputs", report.inputs),
        ("synapses", report.synapses),
        ("cores", f"{report.cores:,} on {report.width} x {report.height} tiles"),
        ("km1: other cores an event must reach", f"{report.km1:.4g}{ratio}"),
        ("refined from", report.start),
        ("links of an event's tree", report.hops["event"]),
        ("hops of a delivery", report.hops["delivery"]),
        ("events x links of a step", report.traffic["multicast"]),
        ("  as the hardware's flits", report.traffic["flits"]),
        ("  one packet a core (unicast)", unicast),
        ("  layer order on a raster", before),
        ("heaviest link", f"{link['link']}, {link['flits']:.4g} flits: as many cycles of a step"),
        ("busiest core", f"{link['core']:.4g} cycles of a step for synapses and slots"),
        ("route table entries", f"{report.table_entries['total']:,.0f}, "
                                f"{report.table_entries['most']:,.0f} at most in a core"),
        ("peak memory", f"{report.memory_bytes / 2**30:.2f} GiB"),
        *((name.replace("_", " "), value) for name, value in report.hardware.items()),
    ]  # fmt: skip
    held = [
        [name.replace("_", " "), v["min"], v["mean"], v["max"], v["capacity"]]
        for name, v in report.occupancy.items()
    ]
    shown = sorted(report.by_population, key=lambda p: -p["received"])[:MOST_POPULATIONS]
    kept = [p for p in report.by_population if p in shown]
    parts: list[Any] = [
        figures("Mapping", facts),
        "",
        table("Cores", ["", "least", "mean", "most", "capacity"], held, "lrrrr"),
    ]
    if len(report.by_population) > 1:
        more = len(report.by_population) - len(kept)
        title = "Traffic of a step by population" + (f"; {more} with less left out" if more else "")
        names = ["population", "neurons", "cores", "events", "sent to other cores", "received"]
        cells = [list(p.values()) for p in kept]
        parts += ["", table(title, names, cells, "lrrrrr")]
    if rows:
        cells = [
            [r["method"], r["km1"], r["links"], r["traffic"], r["seconds"],
             r["skipped"] or ", ".join(r["breaks"]) or "keeps all"]
            for r in rows
        ]  # fmt: skip
        names = ["method", "km1", "links of a tree", "events x links", "seconds", "capacities"]
        parts += ["", table("Other ways", names, cells, "lrrrrl")]
    spent = [[name, seconds] for name, seconds in report.seconds.items()]
    parts += ["", table("Time", ["stage", "seconds"], spent, "lr")]
    if report.notes:
        parts += ["", *(f"Note: {note}" for note in report.notes)]
    return parts


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("map")(map_)
