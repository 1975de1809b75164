"""The head of the page: how far each stage is, and the figures that matter most."""

from __future__ import annotations

from typing import Any

__all__ = ["key_figures", "stages"]


def stages(report: dict[str, Any]) -> list[dict[str, str]]:
    """Compile, verify, evaluate, synth: {"name", "state", "text"}; state is pass, fail or open."""
    verify = report.get("verification")
    rows = [{"name": "Compile", "state": "pass", "text": "done"}]
    if verify:
        good = verify["status"] == "PASS"
        text = f"{verify['compared_bits']:,} bits agree".replace(",", "\u202f")
        state = {"PASS": "pass", "FAIL": "fail"}.get(verify["status"], "open")
        if not good:
            text = f"{verify['mismatches']} mismatches" if state == "fail" else "not complete"
        rows.append({"name": "Verify", "state": state, "text": text})
    else:
        rows.append({"name": "Verify", "state": "open", "text": "not run"})
    rows.append(_evaluate(report.get("evaluation")))
    rows.append(_synth(report.get("synthesis")))
    return rows


def _evaluate(found: dict[str, Any] | None) -> dict[str, str]:
    if not found:
        return {"name": "Evaluate", "state": "open", "text": "not run"}
    if found["mismatches"] or found["errors"]:
        return {"name": "Evaluate", "state": "fail", "text": f"{found['mismatches']} mismatches"}
    return {"name": "Evaluate", "state": "pass", "text": f"{found['samples']} samples"}


def _synth(found: dict[str, Any] | None) -> dict[str, str]:
    if not found:
        return {"name": "Synth", "state": "open", "text": "not run"}
    if not found["fits"]:
        return {"name": "Synth", "state": "fail", "text": f"does not fit {found['target']}"}
    return {"name": "Synth", "state": "pass", "text": f"fits {found['target']}"}


def key_figures(report: dict[str, Any]) -> list[dict[str, str]]:
    """The figures on top: {"label", "value", "unit", "note"}."""
    rows: list[dict[str, str]] = []

    def add(label: str, value: str, unit: str = "", note: str = "") -> None:
        rows.append({"label": label, "value": value, "unit": unit, "note": note})

    evaluation, synthesis = report.get("evaluation"), report.get("synthesis")
    if evaluation:
        _evaluated(evaluation, add)
    if synthesis and synthesis["fmax_mhz"]:
        kind = "core only" if synthesis["out_of_context"] else "placed and routed"
        add("Fmax", f"{synthesis['fmax_mhz']:.1f}", "MHz", f"{synthesis['target']}, {kind}")
    model, mapping = report.get("model"), report.get("mapping")
    if model:
        neurons = sum(p["size"] for p in model["populations"])
        synapses = sum(p["synapses"] for p in model["projections"])
        add("Neurons", f"{neurons:,}".replace(",", "\u202f"), "", _plural(
            len(model["populations"]), "population"))  # fmt: skip
        widths = sorted({p["weight_bits"] for p in model["projections"]})
        bits = f"{'/'.join(map(str, widths))}-bit weights"
        add("Synapses", f"{synapses:,}".replace(",", "\u202f"), "", bits)
    devices = report.get("devices")
    if devices:
        count = sum(layer["devices"] for layer in devices)
        banks = sum(layer["blocks"] * layer["tiles"] for layer in devices)
        add("Devices", f"{count:,}".replace(",", "\u202f"), "",
            f"{devices[0]['device']}, {_plural(banks, 'bank')}")  # fmt: skip
    if mapping:
        kbit = sum(core["synapse_bits"] for core in mapping["cores"]) / 1024
        mesh = f"mesh {mapping['width']} × {mapping['height']}"
        add("Cores", str(len(mapping["cores"])), "", mesh)
        add("Synapse memory", f"{kbit:.1f}", "kbit", "headers and pointers counted")
    return rows


def _evaluated(found: dict[str, Any], add: Any) -> None:
    accuracy = found["accuracy"]
    best = accuracy["rtl"] if accuracy["rtl"] is not None else accuracy["golden"]
    if best is not None:
        where = "RTL" if accuracy["rtl"] is not None else "golden model"
        real = accuracy["float"]
        against = "" if real is None else f", float {100 * real:.2f}\u202f%"
        add("Accuracy", f"{100 * best:.2f}", "%", f"{where}{against}")
    if found["mismatches"] is not None:
        add("RTL mismatches", str(found["mismatches"]), "", "against the golden model")
    if found["latency_us"] is not None:
        add("Latency", f"{found['latency_us']:.3g}", "µs", f"a sample, {found['clock_mhz']:g} MHz")
    operations = found["synaptic_operations_per_sample"]
    add("Synaptic operations", f"{operations:,.0f}".replace(",", "\u202f"), "", "a sample")


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
