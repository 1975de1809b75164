"""The tables that show what ran."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from codesign.cli.tables import figures, table

if TYPE_CHECKING:
    from codesign.evaluate import Evaluation
    from codesign.simulate import Simulation
    from sim.verify import Verification

__all__ = ["evaluation", "simulation", "synthesis", "verification"]


def simulation(done: Simulation, out: Path) -> list[Any]:
    """What `simulate` shows."""
    facts = done.to_json()
    rows = [
        ("backend", facts["backend"]),
        ("samples", facts["samples"]),
        ("steps", facts["steps"]),
        ("output events", facts["output_events"]),
    ]
    if facts["accuracy"] is not None:
        rows.append(("accuracy", f"{facts['accuracy']:.2%}"))
    if facts["cycles_per_sample"] is not None:
        rows.append(("cycles per sample", round(facts["cycles_per_sample"])))
    parts: list[Any] = [figures("Simulation", rows), "", f"Wrote {escape(str(out))}"]
    return [f"[bold red]{escape(error)}[/]" for error in done.errors] + parts


def synthesis(found: dict[str, Any], directory: Path) -> list[Any]:
    """What `synth` shows."""
    names = (("lut", "LUT"), ("ff", "FF"), ("bram", "BRAM"), ("dsp", "DSP"))
    rows = [
        [name, found[key], found["capacity"][key],
         f"{found[key] / max(found['capacity'][key], 1):.1%}"]
        for key, name in names
    ]  # fmt: skip
    where = " (out of context: ports without pins)" if found["out_of_context"] else ""
    parts: list[Any] = [
        table(f"{found['target']}{where}", ["", "used", "of", "share"], rows, "lrrr"),
        "",
    ]
    if found["fmax_mhz"] is not None:
        parts.append(f"[bold]Fmax[/] {found['fmax_mhz']:.1f} MHz, seed {found['seed']}")
    if found["critical_path"]:
        parts.append(f"[bold]Critical path[/] {escape(found['critical_path'])}")
    parts += [f"[yellow]{escape(text)}[/]" for text in found["warnings"]]
    if found["bitstream"]:
        parts.append(f"Wrote {escape(str(directory / found['bitstream']))}")
    return parts


def evaluation(found: Evaluation) -> list[Any]:
    """What `evaluate` shows."""
    rows: list[tuple[str, Any]] = [
        (f"accuracy {name}", None if value is None else f"{value:.2%}")
        for name, value in found.accuracy.items()
    ]
    if found.decision_agreement is not None:
        rows.append(("float and golden decide alike", f"{found.decision_agreement:.2%}"))
    if found.float_agreement is not None:
        rows.append(("two float runs (random draws) decide alike", f"{found.float_agreement:.2%}"))
    for name, value in found.spike_agreement.items():
        rows.append((f"spikes in common, {name}", f"{value:.2%}"))
    for name, db in found.sqnr_db.items():
        sent = found.activity.get(name, 0.0)
        active = f"; {sent:.1%} of its neurons send in a step" if sent else ""
        rows.append((f"SQNR, {name}", ("exact" if db is None else f"{db:.1f} dB") + active))
    rows += [
        ("RTL against golden, words that differ", found.mismatches),
        ("samples", found.samples),
        ("spikes per sample", found.spikes_per_sample),
        ("synaptic operations per sample", found.synaptic_operations_per_sample),
        ("neuron updates per sample", found.neuron_updates_per_sample),
        ("cycles per sample", found.cycles_per_sample),
        ("cycles per step", found.cycles_per_step),
    ]
    if found.state_updates_per_sample:
        rows.append(("state updates per sample", found.state_updates_per_sample))
    if found.latency_us is not None:
        clock = f"at {found.clock_mhz:g} MHz, {found.clock_source}"
        rows.append(("latency", f"{found.latency_us:.4g} us a sample ({clock})"))
    for name, stream in found.streams.items():
        used = f"{stream['mean']:.4g} of {stream['length']}"
        rows.append((f"stream bits of a sum, {name}", used))
    clamped = {name: count for name, count in found.saturations.items() if count}
    rows.append(("saturations", ", ".join(f"{n}: {c}" for n, c in clamped.items()) or 0))
    errors = [f"[bold red]{escape(error)}[/]" for error in found.errors[:5]]
    parts: list[Any] = [figures(f"Evaluation on {found.source}", rows), *errors]
    if found.stream_curve:
        lengths = [
            [r["length"], None if r["accuracy"] is None else f"{r['accuracy']:.2%}",
             f"{r['agreement']:.2%}", f"{r['bits']:.4g}"]
            for r in found.stream_curve
        ]  # fmt: skip
        names = ["stream length", "accuracy", "decides as longest", "bits of a sum"]
        parts += ["", table("Golden model by stream length", names, lengths, "rrrr")]
    return parts


def verification(found: Verification) -> list[Any]:
    """What `verify` shows."""
    rows = [[s.name, s.status, f"{s.seconds:.1f}", s.reason] for s in found.stages]
    title = f"Verification, {found.samples} samples of up to {found.steps} steps, seed {found.seed}"
    style = {"PASS": "bold green", "FAIL": "bold red"}.get(found.status, "yellow")
    parts: list[Any] = [
        table(title, ["stage", "status", "s", "what"], rows, "llrl"),
        "",
        f"[{style}]{found.status}[/] {found.mismatches:,} mismatches in "
        f"{found.compared_bits:,} bits, {found.cores} cores",
    ]
    if found.first:
        parts += ["", "[bold]First differences[/]"]
        parts += [f"  {escape(str(item))}" for item in found.first[:5]]
    if found.waveform is not None:
        parts.append(f"Waveform: {escape(str(found.waveform))}")
    if found.replay:
        parts.append(f"Replay: {escape(found.replay)}")
    return parts
