"""The designs that the cost model is fitted to and measured on: recipes, drawn from fixed seeds.

The space is what `nervure explore` varies. Recipes of all engines take turns, so any beginning of
the plan is a balanced sample. A recipe with "held" is never used in a fit: random ones of other
seeds, and the shipped examples. One that is not "placed" is packed only, which tells all but the
clock in a fraction of the time. One without a "board" is the fabric alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["plan"]

Recipe = dict[str, Any]
#: Random designs of each engine: (for the fit, held out).
COUNTS = {"event": (72, 12), "stochastic": (20, 4), "ssm": (22, 5), "attention": (6, 2),
          "crossbar": (6, 2), "queues": (6, 2)}  # fmt: skip
MESHES = (*((1, 1),) * 10, (2, 1), (2, 1), (1, 2), (2, 2), (3, 1), (2, 3))

#: Lanes of all cores of an event-driven design: larger ones say nothing new, only later.
MOST_LANES = 32
#: Of so many random designs for the fit one is placed and routed (of the held ones every second);
#: the others are packed only.
PLACED = 4


class _Draw:
    """Choices from one generator."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """Log-uniform integer."""
        return round(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def mesh(self) -> Recipe:
        width, height = self.of(*MESHES)
        return {"width": width, "height": height, "cores": width * height}


def _neurons(draw: _Draw) -> Recipe:
    """Random layers of neurons that fire."""
    depth = draw.of(1, 2, 2, 3)
    sizes = [draw.between(6, 120) for _ in range(depth + 1)]
    sizes.append(draw.between(2, 24))
    return {
        "model": draw.of("lif", "lif", "cuba"), "sizes": sizes,
        "density": draw.of(1.0, 1.0, 0.5, 0.25, 0.1), "mixed_fields": draw.of(False, False, True),
        "output": draw.of("spikes", "values"), "recurrent": draw.of(False, False, True),
        "reset": draw.of("subtract", "set", "delayed"),
        "graded": draw.of(False, False, False, True),
    }  # fmt: skip


def _event(draw: _Draw) -> Recipe:
    recipe = _neurons(draw)
    mesh = draw.mesh()
    most = MOST_LANES >> 2 * (mesh["cores"] - 1).bit_length()
    lanes = max(1, min(draw.of(1, 1, 2, 2, 4, 4, 8, 8, 16, 32), most))
    settings = {
        **mesh, "lanes": lanes,
        "weight_bits": draw.of("ternary", 1, 2, 3, 4, 4, 5, 6, 8),
        "index": draw.of("auto", "auto", "none", "word", "lane"),
        "decay": draw.of("factor", "factor", "shift"), "decay_bits": draw.of(8, 10, 12, 12, 14),
        "membrane_bits": draw.of(None, None, 10, 12, 16, 20),
    }  # fmt: skip
    if lanes > 1 and draw.of(True, False):
        settings["update_lanes"] = min(lanes, draw.of(1, 2, 4, 8))
    if recipe["model"] == "cuba":
        settings["current_bits"] = draw.of(None, None, 12, 16)
    if settings["weight_bits"] == 1:  # binary weights need full rows without padding
        settings |= {"weight_bits": "binary", "index": draw.of("auto", "none")}
        recipe["density"] = 1.0
    if recipe["graded"]:
        settings["payload_bits"] = draw.of(4, 6, 8)
    return {**recipe, "settings": settings}


def _stochastic(draw: _Draw) -> Recipe:
    recipe = _neurons(draw) | {"recurrent": False}
    recipe["sizes"] = [min(size, 80) for size in recipe["sizes"][-3:]]
    bits = draw.of(2, 3, 4, 6, 8)
    settings = {
        "engine": "stochastic", "weight_bits": bits,
        "stream_length": draw.of(None, 1 << (bits - 1)),
        "generator": draw.of("sobol", "sobol", "lfsr") if bits > 3 else "sobol",
        "generators": draw.of(1, 1, 2, 4),
        "stream_lanes": draw.of(4, 8, 16, 32, 64), "decay": draw.of("factor", "shift"),
        "margin": draw.of(None, None, 2), "tolerance": draw.of(None, None, 0.05),
    }  # fmt: skip
    settings["cores"] = len(recipe["sizes"]) - 1
    if draw.of(True, False, False):
        settings["engine"] = {"n1": "stochastic", "*": "event"}
        settings["lanes"] = draw.of(2, 4, 8)
    return {**recipe, "settings": settings}


def _ssm(draw: _Draw) -> Recipe:
    model = draw.of("ssm", "ssm", "ssm", "poles", "gate")
    blocks, size = draw.of(1, 1, 1, 2), 2 * draw.between(2, 20)
    recipe = {
        "model": model, "sizes": [draw.between(4, 40), *[size] * blocks, draw.between(2, 12)],
        "real": draw.of(False, False, True), "order": draw.of(2, 4, 6, 8, 16),
        "activation": draw.of("", "relu", "gelu", "silu"),
        "density": draw.of(1.0, 1.0, 0.5),
    }  # fmt: skip
    settings = {
        "state_bits": draw.of(8, 12, 14, 16, 18), "pole_bits": draw.of(None, 10, 14, 17),
        "weight_bits": draw.of(4, 6, 8), "payload_bits": draw.of(6, 8, 10),
        "state_lanes": draw.of(1, 1, 1, 2, 4), "lanes": draw.of(1, 1, 2, 4),
        "delta": draw.of(None, None, 0.02), "rounding": draw.of("nearest", "nearest", "stochastic"),
        "table_bits": draw.of(8, 10),
    }  # fmt: skip
    return {**recipe, "settings": settings}


def _attention(draw: _Draw) -> Recipe:
    return {
        "model": "attention", "sizes": [draw.between(8, 40), draw.between(2, 12)],
        "tokens": draw.of(3, 4, 6, 8, 12), "dim": draw.of(4, 5, 8, 12),
        "causal": draw.of(False, True),
        "settings": {"weight_bits": draw.of(2, 4, 6), "lanes": draw.of(1, 2, 4),
                     "cores": 2},
    }  # fmt: skip


def _crossbar(draw: _Draw) -> Recipe:
    side, sampling = draw.of(4, 8, 16), draw.of("none", "ternary")
    return {
        "model": "lif", "sizes": [draw.between(6, 24), draw.between(4, 16), draw.between(2, 6)],
        "output": draw.of("spikes", "values"), "graded": draw.of(False, False, True),
        "settings": {
            "engine": draw.of("crossbar", {"n1": "crossbar", "*": "event"}),
            "array_rows": side, "array_columns": side, "sampling": sampling,
            "adc_bits": draw.of(6, 8), "pairs": draw.of(1, 1, 2) if sampling == "none" else 1,
            "lanes": 2,
            "coding": draw.of("serial", "width"),
        },
    }  # fmt: skip


def _queues(draw: _Draw) -> Recipe:
    """Event-driven cores with queues in front of them."""
    recipe = _event(draw)
    settings = recipe["settings"] | {"fifo": draw.of(2, 8, 16, 32, 64, 256)}
    return {**recipe, "settings": settings}


MAKE: dict[str, Callable[[_Draw], Recipe]] = {
    "event": _event, "stochastic": _stochastic, "ssm": _ssm, "attention": _attention,
    "crossbar": _crossbar, "queues": _queues,
}  # fmt: skip


def _examples() -> list[Recipe]:
    """The shipped models with the settings that people start from."""
    digits, vowels = "examples/digits/digits.nir", "examples/vowels/vowels.nir"
    recurrent = "examples/recurrent/recurrent.nir"
    rows: list[tuple[str, Recipe]] = [
        (digits, {}), (vowels, {}), (recurrent, {}), ("examples/attention/model.pt", {}),
        ("examples/vowels_s4d/model.pt", {}), ("examples/seqdigits/model.pt", {}),
        (digits, {"engine": "stochastic", "stream_length": 8}),
        (digits, {"engine": "crossbar", "array_rows": 64, "array_columns": 32}),
        (digits, {"lanes": 1}), (vowels, {"cores": 2, "lanes": 4}),
        (digits, {"lanes": 16, "weight_bits": 8}), (vowels, {"engine": "ssm", "lanes": 2}),
        (digits, {"weight_bits": "ternary", "lanes": 4}), (digits, {"cores": 4, "lanes": 2}),
        (digits, {"decay": "shift", "lanes": 2}), (recurrent, {"cores": 2, "lanes": 4}),
    ]  # fmt: skip
    return [
        {"model": model, "settings": settings, "held": True} | ({} if k < 8 else {"placed": False})
        for k, (model, settings) in enumerate(rows)
    ]


def _random(engine: str, held: bool) -> Iterator[Recipe]:
    number = list(COUNTS).index(engine)
    for k in range(COUNTS[engine][held]):
        recipe = MAKE[engine](_Draw(number, k, held)) | {"engine": engine, "seed": 2 * k + held}
        yield recipe | (
            {"held": True, "placed": k % 2 == 0} if held else {"placed": k % PLACED == 3}
        )


def _take_turns(*rows: list[Recipe]) -> list[Recipe]:
    """Rows merged in proportion to their lengths."""
    places = [((k + 0.5) / len(row), n, item) for n, row in enumerate(rows)
              for k, item in enumerate(row)]  # fmt: skip
    return [item for _, _, item in sorted(places, key=lambda place: place[:2])]


def plan() -> list[Recipe]:
    """All recipes, in the order to run them."""
    rows = [list(_random(engine, held)) for engine in COUNTS for held in (False, True)]
    bare = [{**r, "board": False, "placed": False} for r in rows[0][4::12]]
    return _take_turns(*rows, _examples(), bare)
