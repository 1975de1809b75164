"""The page: what report.json holds, put into words, figures and drawings."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from codesign.crossbar.age import duration
from codesign.report.devices import drift_charts
from codesign.report.figures import key_figures, stages
from codesign.report.mesh import mesh
from codesign.report.network import network
from codesign.report.raster import raster
from codesign.runtime import RunTime

__all__ = ["render", "template"]

FOLDER = Path(__file__).resolve().parent
RESOURCES = (
    ("lut", "LUTs"), ("ff", "Flip-flops"), ("bram", "Block RAMs (18 kbit)"), ("dsp", "Multipliers"),
)  # fmt: skip


def _number(value: Any, digits: int = 4) -> str:
    """A number with thin spaces, – for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return f"{int(value):,}".replace(",", "\u202f")
    if isinstance(value, float):
        if abs(value) >= 1000:
            return f"{value:,.0f}".replace(",", "\u202f")
        return f"{value:.{digits}g}"
    return str(value)


def _percent(value: Any, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}\u202f%"


@cache
def template(name: str) -> Any:
    """A page's template with the style and the filters of all pages."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(number=_number, percent=_percent, duration=duration)
    environment.globals["style"] = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(name)


def render(manifest: dict[str, Any], report: dict[str, Any]) -> str:
    """The page as text."""
    from markupsafe import Markup

    name = manifest["name"]
    verify = report.get("verification")
    synthesis = report.get("synthesis")
    model, mapping = report.get("model"), report.get("mapping")
    return template("page.html.j2").render(
        name=name,
        settings=manifest["settings"],
        mapping_digest=manifest["mapping"],
        model=model,
        mapping=mapping,
        layers=report.get("quantisation", []),
        streams=report.get("streams", []),
        devices=report.get("devices", []),
        device_evaluation=report.get("device_evaluation"),
        drift=drift_charts(report.get("device_evaluation")),
        evaluation=report.get("evaluation"),
        verify=verify,
        synthesis=synthesis,
        made=report.get("made"),
        stages=stages(report),
        keys=key_figures(report),
        notes=_notes(report),
        resources=_resources(synthesis),
        memories=_memories(synthesis),
        commands=_commands(name, report),
        network=Markup(network(model)) if model else None,
        mesh=Markup(mesh(mapping)) if mapping else None,
        raster=Markup(raster(report["raster"])) if report.get("raster") else None,
        raster_source=(report.get("raster") or {}).get("source"),
    )


def _notes(report: dict[str, Any]) -> list[dict[str, str]]:
    """All that the compiler changed or assumed, with where it was said."""
    rows = []
    for stage, section in (("model", "model"), ("mapping", "mapping")):
        for note in (report.get(section) or {}).get("notes", []):
            rows.append({"stage": stage, **note})
    for text in (report.get("synthesis") or {}).get("warnings", []):
        rows.append({"stage": "synth", "node": "", "change": text, "effect": ""})
    return rows


def _resources(synthesis: dict[str, Any] | None) -> list[dict[str, Any]]:
    if not synthesis:
        return []
    rows = []
    for key, label in RESOURCES:
        used, of = synthesis[key], synthesis["capacity"][key]
        share = used / of if of else 0.0
        level = "over" if share > 1 else "high" if share > 0.8 else ""
        rows.append({"label": label, "used": used, "of": of, "share": share, "level": level})
    return rows


def _memories(synthesis: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The memories; equal banks of one memory as one row with `count`."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for memory in (synthesis or {}).get("memories", []):
        name = re.sub(r"_\d+$", "_*", re.sub(r"\$\d+$", "", memory["name"]))
        key = (name, memory["depth"], memory["width"], memory["became"], memory["dp16kd"])
        if key in rows:
            rows[key] |= {"name": name, "count": rows[key]["count"] + 1}
        else:
            rows[key] = {**memory, "count": 1}
    return list(rows.values())


def _commands(name: str, report: dict[str, Any]) -> list[dict[str, str]]:
    """What was run, and what has not been."""
    made = (report.get("made") or {}).get("commands", {})
    verify = report.get("verification")
    evaluation, synthesis = report.get("evaluation"), report.get("synthesis")
    rows = [{"text": made.get("compile", f"nervure compile MODEL -o {name}"), "state": "done"}]
    line, state = f"nervure verify {name}", "not run"
    if verify:
        line, state = verify["command"], "done"
    rows.append({"text": line, "state": state})
    line, state = f"nervure evaluate {name} --input labelled.npz", "not run"
    if evaluation:
        line = f"nervure evaluate {name} --input {evaluation['source']}"
        line += f" --samples {evaluation['samples']}"
        line += f" --steps {evaluation['steps']}" if evaluation.get("steps") else ""
        line += " --no-rtl" if evaluation["mismatches"] is None else ""
        run_time = RunTime(**{f.name: evaluation.get(f.name) for f in fields(RunTime)})
        line += "".join(f" {word}" for word in run_time.options())
        state = "done"
    rows.append({"text": line, "state": state})
    if report.get("devices"):
        line, state = f"nervure device evaluate {name} --input labelled.npz", "not run"
        if aged := report.get("device_evaluation"):
            line, state = aged["command"], "done"
        rows.append({"text": line, "state": state})
    line, state = f"nervure synth {name}", "not run"
    if synthesis:
        line += f" --target {synthesis['target']}"
        line += f" --seed {synthesis['seed']}" if synthesis["seed"] is not None else ""
        line += " --bitstream" if synthesis["bitstream"] else ""
        state = "done"
    rows.append({"text": line, "state": state})
    return rows
