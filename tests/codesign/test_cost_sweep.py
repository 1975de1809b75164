"""Sweeps: the same figures as for one design at the base, near them elsewhere."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from codesign.cost.design import Design
from codesign.cost.designs import build
from codesign.cost.model import default_model
from codesign.cost.sweep import INDEX, Base, sweep

ROOT = Path(__file__).parents[2]
DIGITS, VOWELS = "examples/digits/digits.nir", "examples/vowels/vowels.nir"
FIGURES = ("lut", "ff", "bram", "dsp", "fmax_mhz")
BASES = (
    {"model": DIGITS},
    {"model": VOWELS},
    {"model": "examples/recurrent/recurrent.nir"},
    {"model": "examples/vowels_s4d/model.pt"},
    {"model": DIGITS, "settings": {"engine": "stochastic", "stream_length": 8}},
    {"model": "gate", "sizes": [6, 8, 3], "seed": 0},
    {"model": "attention", "sizes": [6, 3], "tokens": 3, "dim": 4, "seed": 0},
)


@cache
def built(text):
    return build(json.loads(text), ROOT)


def mapped(recipe, **settings):
    return built(json.dumps(recipe | {"settings": recipe.get("settings", {}) | settings}))


def figures(recipe, **settings):
    found = mapped(recipe, **settings)
    return default_model().figures(Design.of(found.mesh, found.host))


@pytest.mark.parametrize("recipe", BASES, ids=str)
def test_the_base_is_that_design(recipe):
    found = sweep(Base.of(mapped(recipe)), {})
    true = figures(recipe)
    for name in FIGURES:
        assert float(found[name]) == pytest.approx(float(true[name]), rel=1e-9), name


@pytest.mark.parametrize(
    ("recipe", "settings", "tolerance"),
    [
        (BASES[0], {"lanes": 1}, 0.05), (BASES[0], {"lanes": 4}, 0.05),
        (BASES[0], {"lanes": 32}, 0.06), (BASES[0], {"index": "word"}, 0.03),
        (BASES[0], {"index": "none", "lanes": 16}, 0.05), (BASES[0], {"update_lanes": 8}, 0.02),
        (BASES[0], {"cores": 2}, 0.15), (BASES[0], {"cores": 4}, 0.15),
        (BASES[0], {"cores": 9}, 0.2), (BASES[0], {"fifo": 16}, 0.01),
        (BASES[1], {"lanes": 1}, 0.05), (BASES[1], {"lanes": 16}, 0.05),
        (BASES[1], {"weight_bits": 8}, 0.08), (BASES[1], {"cores": 2}, 0.25),
        (BASES[2], {"lanes": 2}, 0.05), (BASES[2], {"cores": 4}, 0.25),
        (BASES[3], {"state_lanes": 4}, 0.02), (BASES[3], {"state_bits": 12}, 0.03),
        (BASES[3], {"lanes": 2}, 0.05), (BASES[4], {"stream_lanes": 16}, 0.03),
        (BASES[4], {"stream_lanes": 4}, 0.06),
    ],
    ids=str,
)  # fmt: skip
def test_a_point_is_near_the_design_that_is_mapped(recipe, settings, tolerance):
    point = {k: INDEX.index(v) if k == "index" else v for k, v in settings.items()}
    found = sweep(Base.of(mapped(recipe)), {"index": 0} | point)
    true = figures(recipe, **settings)
    for name in ("lut", "ff"):
        assert float(found[name]) == pytest.approx(float(true[name]), rel=tolerance), name
    assert float(found["fmax_mhz"]) == pytest.approx(float(true["fmax_mhz"]), rel=0.1)
    assert float(found["dsp"]) == pytest.approx(float(true["dsp"]), rel=0.5, abs=4)


def test_many_points_are_the_same_as_one_by_one():
    rng = np.random.default_rng(7)
    base = Base.of(mapped(BASES[0]))
    points = {
        "lanes": 2.0 ** rng.integers(0, 6, 50), "cores": rng.integers(1, 10, 50),
        "weight_bits": rng.integers(2, 9, 50), "kept": rng.uniform(0.1, 1, 50),
        "index": rng.integers(0, 4, 50), "update_lanes": rng.choice([0, 1, 2, 4], 50),
    }  # fmt: skip
    together = sweep(base, points)
    for k in range(50):
        alone = sweep(base, {name: value[k] for name, value in points.items()})
        for name in (*FIGURES, "cycles"):
            assert together[name].shape == (50,)
            assert float(alone[name]) == pytest.approx(together[name][k], rel=1e-9), (k, name)


def test_more_lanes_take_fewer_cycles_and_more_logic():
    source = mapped(BASES[0]).program.inputs[0].name
    base = Base.of(mapped(BASES[0]), {source: 0.2})
    found = sweep(base, {"lanes": 2.0 ** np.arange(5), "index": 0})
    assert (np.diff(found["lut"]) > 0).all()
    assert (np.diff(found["cycles"]) < 0).all()
    less = sweep(base, {"kept": np.array([1.0, 0.5, 0.1]), "index": 0})
    assert (np.diff(less["cycles"]) < 0).all()


def test_wrong_points_and_bases_are_told():
    base = Base.of(mapped(BASES[0]))
    with pytest.raises(ValueError, match=r"points name \['lane'\]; known: cores, lanes"):
        sweep(base, {"lane": 4})
    with pytest.raises(
        ValueError, match="activity of nobody: there is no such input or population"
    ):
        Base.of(mapped(BASES[0]), {"nobody": 1.0})
    with pytest.raises(ValueError, match="must have one core of event-driven neurons"):
        Base.of(mapped(BASES[0], cores=2))
