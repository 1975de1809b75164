"""The tables that commands show people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from codesign.artefact import Artefact
    from codesign.boards import Board
    from codesign.doctor import Check
    from codesign.inspect import ModelInspection

__all__ = ["board_list", "checks", "compiled", "figures", "inspection", "table"]

_MARKS = {"mapped": "green", "folded": "dim", "unsupported": "bold red", "ok": "green",
          "missing": "bold red", "old": "yellow", "PASS": "bold green", "FAIL": "bold red",
          "NOT RUN": "yellow"}  # fmt: skip


def table(title: str, columns: list[str], rows: list[list[Any]], right: str = "") -> Table:
    """A table; `right` has an r for each column that holds numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold",
                 box=None, pad_edge=False, padding=(0, 2, 0, 0))  # fmt: skip
    for place, name in enumerate(columns):
        number = right[place : place + 1] == "r"
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = escape(str(value))
    return f"[{_MARKS[text]}]{text}[/]" if text in _MARKS else text


def figures(title: str, rows: list[tuple[str, Any]]) -> Table:
    """Names and values."""
    made = table(title, ["", ""], [list(row) for row in rows])
    made.show_header = False
    return made


def _notes(notes: list[dict[str, str]]) -> list[Any]:
    if not notes:
        return []
    rows = [[n.get("node", ""), n.get("change", ""), n.get("effect", "")] for n in notes]
    return ["", table("Notes", ["node", "what", "effect"], rows)]


def inspection(found: ModelInspection) -> list[Any]:
    """What `inspect` shows."""
    seen = found.found
    nodes = [
        [n["name"], n["kind"], "x".join(map(str, n["shape"])) or None, n["status"], n["reason"]]
        for n in seen.nodes
    ]
    parts: list[Any] = [table("Nodes", ["node", "kind", "shape", "status", "reason"], nodes)]
    if seen.edges:
        edges = ", ".join(f"{a} → {b}" for a, b in seen.edges)
        parts += ["", f"[bold]Edges[/] {escape(edges)}"]
    parts += [f"[bold]Parameters[/] {seen.parameters:,}, {seen.density:.1%} of weights not zero"]
    if found.layers:
        keys = ["name", "kind", "size", "level", "synapses", "density", "dt_over_tau", "recurrent"]
        rows = [[layer[key] for key in keys] for layer in found.layers]
        names = ["layer", *keys[1:6], "dt/tau", "recurrent"]
        step = "" if found.dt is None else f" (dt {found.dt:g} s)"
        parts += ["", table(f"Layers{step}", names, rows, "llrrrrr")]
    parts += _notes([dict(note) for note in seen.notes])
    if seen.problems:
        text = "\n".join(f"  {problem}" for problem in seen.problems)
        count = len(seen.problems)
        head = f"{count} problem{'s' if count > 1 else ''} to mend before it can be compiled:"
        parts += ["", f"[bold red]{head}[/]\n{escape(text)}"]
    return parts


def _states(layers: list[dict[str, Any]]) -> list[Any]:
    """Formats of state spaces, if there are any."""
    found = [(r["node"], r.get("changes"), r["states"]) for r in layers if r.get("states")]
    rows = [
        [name, s["states"], "real" if s["real"] else "complex", f"{s['slowest']:.6f}",
         s["pole_bits"], s["state_bits"], s["mix_bits"] or None, f"{s['fullest']:.0%}",
         s["mix_sqnr_db"], "changes" if changes else "values"]
        for name, changes, s in found
    ]  # fmt: skip
    names = ["layer", "states", "", "largest |a|", "pole bits", "state bits", "mix bits",
             "fullest", "mix SQNR dB", "sends"]  # fmt: skip
    return ["", table("State spaces", names, rows, "lrlrrrrrrl")] if rows else []


def compiled(artefact: Artefact) -> list[Any]:
    """What `compile` shows."""
    report = artefact.report
    layers = [
        [r["node"], r["kind"], r["size"], r["membrane_bits"],
         "/".join(str(w["bits"]) for w in r["weights"]) or None,
         min((w["sqnr_db"] for w in r["weights"] if w["sqnr_db"] is not None), default=None),
         sum(w["clipped"] for w in r["weights"]), r["decay_error"], r["rate"]]
        for r in report["quantisation"]
    ]  # fmt: skip
    names = ["layer", "kind", "size", "membrane bits", "weight bits", "SQNR dB", "clipped",
             "decay error", "events/step"]  # fmt: skip
    mapped = report["mapping"]
    cores = [
        [f"{c['x']},{c['y']}", c["neurons"], c["slots"], c["axons"], c["weight_bits"],
         c.get("index", c["dendrites"]), c["synapse_bits"]]
        for c in mapped["cores"]
    ]  # fmt: skip
    mesh = f"Mesh {mapped['width']} x {mapped['height']}, latency {mapped['latency_ticks']} ticks"
    notes = [*report["model"]["notes"], *mapped["notes"]]
    where = escape(str(artefact.directory))
    return [
        table("Quantisation", names, layers, "llrrrrrrr"),
        *_states(report["quantisation"]),
        *_streams(report.get("streams", [])),
        "",
        table(mesh, ["core", "neurons", "slots", "axons", "weight bits", "rows", "synapse bits"],
              cores, "lrrrrlr"),
        *_notes(notes),
        "",
        f"Wrote [bold]{where}[/]. Next: nervure verify {where}; report: {where}/report.html",
    ]  # fmt: skip


def _streams(layers: list[dict[str, Any]]) -> list[Any]:
    """What stochastic layers lose."""
    if not layers:
        return []
    rows = [
        [s["node"], s["generator"], s["generators"], s["stream_length"], s["full_period"],
         s["tolerance"], s.get("margin"), s["mean_length"], s["rms_drive"], s["rms_error"],
         s["relative_error"], s["threshold_share"]]
        for s in layers
    ]  # fmt: skip
    names = ["layer", "generator", "n", "bits", "exact at", "tolerance", "margin", "used",
             "rms input", "rms error", "of input", "of threshold"]  # fmt: skip
    return ["", table("Streams", names, rows, "llrrrrrrrrrr")]


def board_list(found: list[Board]) -> list[Any]:
    """What `boards` shows."""
    rows = [
        [b.name, b.description, b.device, b.capacity.lut, b.capacity.ff, b.capacity.bram,
         b.capacity.dsp, f"{b.clock_mhz:g}", f"{b.pll_mhz:g}"]
        for b in found
    ]  # fmt: skip
    names = ["board", "what", "part", "LUT", "FF", "BRAM", "DSP", "clock MHz", "PLL MHz"]
    return [table("Boards", names, rows, "lllrrrrrr")]


def checks(found: list[Check]) -> list[Any]:
    """What `doctor` shows."""
    rows = [[c.name, c.status, c.version, c.needed_for] for c in found]
    parts: list[Any] = [table("Tools", ["tool", "status", "version", "needed for"], rows)]
    mend = [f"  {escape(c.name)}: {escape(c.install)}" for c in found if c.install]
    return [*parts, *(["", "[bold]To mend:[/]\n" + "\n".join(mend)] if mend else [])]
