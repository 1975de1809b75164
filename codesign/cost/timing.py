"""The clock: the slowest of a few kinds of paths, each with a delay of its own.

A path's delay is a sum of features times coefficients in ns: what it always takes, what grows with
the design (routes get longer: log2 of its LUTs), and what depends on widths and choices. The
coefficients are fitted to the clocks of placed runs (codesign/cost/fit.py), drawn towards EXPECTED:
an ECP5 block RAM answers after 5.7 ns, a multiplier after 4 to 6, a LUT with its route takes 0.7 to
1.2 (nextpnr's reports, speed grade 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from codesign.cost.features import bits_for

__all__ = ["EXPECTED", "fabric_paths", "paths", "slowest"]

Path = Mapping[str, Any]

#: Features that are worth more than others: sums in block RAM, which answers 4 ns after LUT RAM.
SLOW = {"deep": (3.0, 1.0)}
#: path.feature: (ns, how far from that it may well be)
EXPECTED: dict[str, tuple[float, float]] = {
    f"{path}.{name}": value
    for path, one, more in (
        ("link", 7.3, ()), ("fetch", 7.0, ("block", "digits", "lanes")),
        ("sum", 7.5, ("index", "width", "deep", "payload", "exponent", "lanes")),
        ("update", 6.5, ("width", "current", "shift", "own", "lanes", "ranges")),
        ("product", 6.5, ("wide", "width")), ("values", 6.0, ("shift", "changes", "tables")),
        ("send", 6.0, ("lanes", "entries", "width")),
        ("streams", 7.0, ("lanes", "stops", "decides", "values")),
        ("states", 7.0, ("lanes", "width", "drawn", "held")), ("gate", 6.5, ("width",)),
        ("head", 7.0, ("dim", "tokens", "causal")), ("crossbar", 8.0, ("columns",)),
    )
    for name, value in (
        ("one", (one, 0.7)), ("size", (0.35, 0.2)), *((name, (0.3, 0.3)) for name in more)
    )
}  # fmt: skip


def fabric_paths(n: Mapping[str, Any], board: Any) -> dict[str, Path]:
    """From the serial link's buffer, or the host port, into the network."""
    return {"link": {"one": 1.0 - 0.1 * (1 - np.asarray(board, dtype=float))}}


def paths(engine: str, n: Mapping[str, Any]) -> dict[str, Path]:
    """The paths of one core: features of each."""
    cuba = n["current_bits"] > 0
    multiplied = np.maximum(n["membrane_multiplied"], n["current_multiplied"] * cuba)
    widest = np.maximum(
        n["membrane_bits"] * n["membrane_multiplied"],
        n["current_bits"] * n["current_multiplied"],
    )
    found: dict[str, Path] = {
        "update": {
            "one": 1.0, "width": n["membrane_bits"] / 16.0, "current": 1.0 * cuba,
            "shift": n["shifted"], "lanes": np.log2(n["update_lanes"]), "ranges": n["ranges"] / 4.0,
            "own": np.maximum(n["bias_own"], n["resets_delayed"]),
        },
        "product": {"one": multiplied, "size": multiplied, "wide": 1.0 * (widest > 18),
                    "width": widest / 16.0},
        "values": {"one": n["values"], "size": n["values"], "changes": n["changes"],
                   "shift": np.maximum(n["value_shift_own"], n["value_shift_ranged"]) * n["values"],
                   "tables": 1.0 * (n["tables"] > 0)},
        "send": {"one": 1.0, "lanes": np.log2(n["update_lanes"]), "entries": n["entries"] > 1,
                 "width": bits_for(n["slots"]) / 8.0},
    }  # fmt: skip
    if engine == "event":
        found["fetch"] = {
            "one": 1.0, "block": 1.0 * (n["axons"] * n["pointer_bits"] > 400),
            "digits": n["dense"] * n["group_digits"] / 2.0, "lanes": np.log2(n["lanes"]) / 2.0,
        }  # fmt: skip
        found["sum"] = {
            "one": 1.0, "index": n["index_bits"] / 4.0, "width": n["acc_bits"] / 16.0,
            "deep": 1.0 * (n["groups"] > 32), "payload": 1.0 * (n["payload_bits"] > 0),
            "exponent": n["exponent_bits"], "lanes": np.log2(n["lanes"]) / 2.0,
        }  # fmt: skip
    elif engine == "stochastic":
        found["streams"] = {
            "one": 1.0, "lanes": np.log2(n["streams"]) / 4.0, "stops": n["stops"],
            "decides": n["decides"], "values": 1.0 * (n["value_planes"] > 1),
        }  # fmt: skip
    elif engine == "ssm":
        found["states"] = {"one": 1.0, "lanes": np.log2(n["state_lanes"]), "drawn": n["drawn"],
                           "width": n["part_bits"] / 16.0, "held": n["held"]}  # fmt: skip
    elif engine == "gate":
        found["gate"] = {"one": 1.0, "width": n["input_bits"] / 8.0}
    elif engine == "attention":
        found["head"] = {"one": 1.0, "dim": np.log2(n["dim"]) / 4.0, "causal": n["causal"],
                         "tokens": np.log2(n["tokens"]) / 4.0}  # fmt: skip
    elif engine == "crossbar":
        found["crossbar"] = {"one": 1.0, "columns": np.log2(n["columns"]) / 4.0}
    return found


def slowest(tables: list[tuple[Any, dict[str, Path]]], size: Any, ns: Mapping[str, float]) -> Any:
    """The period in ns: the slowest path of all cores. `tables`: (whether there is such a core,
    its paths); `size`: log2 of LUTs / 1000."""
    worst: Any = 0.0
    for there, table in tables:
        for path, features in table.items():
            delay: Any = 0.0
            for name, value in _with_size(features, size).items():
                delay = delay + ns[f"{path}.{name}"] * value
            worst = np.maximum(worst, np.where(there, delay, 0.0))
    return worst


def _with_size(features: Path, size: Any) -> dict[str, Any]:
    return {**features, "size": features.get("size", 1.0) * size}
