"""The fitted cost model: coefficients, ranges, errors; estimates with warnings, corrections."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from codesign.artefact import write_json
from codesign.cost.design import Design
from codesign.cost.timing import slowest
from hdl.params.errors import UserError

__all__ = ["KINDS", "MODEL", "WATCHED", "Model", "default_model"]

MODEL = Path(__file__).with_name("model.json")
#: What is fitted; block RAMs and multipliers are counted.
KINDS = ("lut", "ff", "fmax_mhz")
#: An engine with fewer runs than this is named in a warning.
FEW = 8
#: Measured designs that weigh as much as the model itself in a correction.
TRUST = 1.0
#: Numbers (codesign/cost/features.py) whose fitted range is kept and watched.
WATCHED = (
    "slots", "lanes", "update_lanes", "axons", "synapse_words", "weight_bits", "exponent_bits",
    "payload_bits", "emission_bits", "membrane_bits", "current_bits", "decay_bits", "acc_bits",
    "table_bits", "ranges", "entries", "fifo", "winners", "spread", "streams", "generators",
    "source_bits", "tiles",
    "value_planes", "state_lanes", "part_bits", "pole_bits", "mix_bits", "input_bits", "drawn",
    "held", "changes", "tokens", "dim", "causal", "rows", "columns", "cells", "code_bits",
    "converters", "width", "height", "flit_bits", "word_bits", "levels",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Model:
    """What `codesign.cost.fit` found.

    coefficients : by figure and feature. ranges : by engine ("mesh" for the mesh) and number.
    runs : runs of the fit by engine. errors : "cross_validated" and "held_out" (by figure and
    engine: designs, median_percent, mean_percent, worst_percent). digest : of the runs.
    corrections : by engines of a design, mean logarithms of measured / estimated.
    """

    coefficients: Mapping[str, Mapping[str, float]]
    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    runs: Mapping[str, int]
    errors: Mapping[str, Any]
    digest: str
    tools: tuple[str, ...] = ()
    corrections: Mapping[tuple[str, ...], Mapping[str, float]] = field(default_factory=dict)

    def figures(self, design: Design) -> dict[str, Any]:
        """lut, ff, bram, dsp, fmax_mhz of a design; arrays where it has arrays."""
        features = design.features
        found: dict[str, Any] = {"bram": design.bram, "dsp": design.dsp}
        for kind in ("lut", "ff"):
            known = self.coefficients[kind]
            found[kind] = sum(known[name] * v for name, v in features.items() if name in known)
        size = np.log2(np.maximum(found["lut"], 1.0) / 1000)
        found["fmax_mhz"] = 1000 / slowest(design.paths, size, self.coefficients["fmax_mhz"])
        for kind, ratio in self.corrections.get(design.engines, {}).items():
            found[kind] = found[kind] * np.exp(ratio)
        return found

    def warnings(self, design: Design) -> tuple[str, ...]:
        """What of a design lies outside of what was fitted, and by how much."""
        found: dict[str, float] = {}
        parts = [(g.engine, g.numbers, g.place) for g in design.groups]
        for part, numbers, place in [*parts, ("mesh", design.fabric, "")]:
            for name, (low, high) in self.ranges.get(part, {}).items():
                value = float(numbers[name])
                if low <= value <= high:
                    continue
                above = value > high
                off = value / high if above and high else value if above else low / (value or 1.0)
                where = f"{part} core at {place}" if place else "mesh"
                text = f"{where}: {name} {value:g} lies outside the fitted {low:g}..{high:g}"
                key = f"{text} (by {100 * (off - 1):.0f} %)" if above and high else text
                found[key] = off
        for engine in design.engines:
            count = self.runs.get(engine, 0)
            if count < FEW:
                found[f"{engine}: only {count} runs in the fit of the cost model"] = np.inf
        return tuple(sorted(found, key=lambda text: (-found[text], text)))

    def corrected(self, measured: Iterable[tuple[Design, Mapping[str, float]]]) -> Model:
        """The model with the mean ratio of measured to estimated figures put in.

        By the engines of a design; shrunk, as if the model had been right for TRUST further ones.
        """
        plain = replace(self, corrections={})
        logs: dict[tuple[str, ...], dict[str, list[float]]] = {}
        for design, result in measured:
            guess = plain.figures(design)
            for kind in KINDS:
                if result.get(kind):
                    rows = logs.setdefault(design.engines, {}).setdefault(kind, [])
                    rows.append(float(np.log(result[kind] / guess[kind])))
        means = {
            engines: {kind: sum(row) / (len(row) + TRUST) for kind, row in table.items()}
            for engines, table in logs.items()
        }
        return replace(self, corrections=means)

    def save(self, path: Path) -> None:
        """Writes the model; same model, same bytes."""
        data = {name: value for name, value in vars(self).items() if name != "corrections"}
        write_json(path, json.loads(json.dumps(data, sort_keys=True)))

    @classmethod
    def load(cls, path: Path = MODEL) -> Model:
        """UserError if the file is missing or no model."""
        try:
            data = json.loads(path.read_text())
            ranges = {
                part: {name: (float(low), float(high)) for name, (low, high) in table.items()}
                for part, table in data.pop("ranges").items()
            }
            return cls(ranges=ranges, **{**data, "tools": tuple(data["tools"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: no cost model ({error}); run python -m codesign.cost.fit"
            ) from None


@cache
def default_model() -> Model:
    """The model that is shipped."""
    return Model.load()
