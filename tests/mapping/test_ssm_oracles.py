"""Imported models against what the code they were trained with answers.

Recorded answers come from tests/vectors/make_ssm_oracles.py; torch computes them in float32.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ssm_models import answer, load_torch

from mapping.importers.load import load_graph
from mapping.importers.ssm import load_ssm
from mapping.importers.torch_file import read_torch

VECTORS = Path(__file__).parent.parent / "vectors"
SETTINGS = {"s4d_pre": {"prenorm": "yes"}}
CASES = ["s5_blocks", "s5_plain", "s5_layer", "s4d_post", "s4d_pre", "lru_glu", "lru_mlp", "lmu"]
CLOSE = 2e-6


def deviation(graph, inputs, outputs) -> float:
    found = [answer(graph, x) for x in inputs.astype(float)]
    return float(np.abs(np.array(found) - outputs).max())


@pytest.mark.parametrize("case", CASES)
def test_recorded_answers(case):
    graph = load_ssm(VECTORS / f"ssm_{case}.pt", **SETTINGS.get(case, {}))
    with np.load(VECTORS / f"ssm_{case}.npz") as vectors:
        outputs = vectors["outputs"]
        assert np.abs(outputs).max() > 0.3
        assert deviation(graph, vectors["inputs"], outputs) < CLOSE


@pytest.mark.parametrize(("case", "setting"), [
    ("s5_layer", {"discretisation": "bilinear"}),
    ("s4d_post", {"discretisation": "dirac"}),
    ("s4d_post", {"prenorm": "yes"}),
    ("s4d_pre", {}),
    ("s4d_pre", {"prenorm": "yes", "residual": "no"}),
    ("s5_blocks", {"pooling": "last"}),
])  # fmt: skip
def test_other_settings_give_other_answers(case, setting):
    """The recorded answers can tell."""
    graph = load_ssm(VECTORS / f"ssm_{case}.pt", **setting)
    with np.load(VECTORS / f"ssm_{case}.npz") as vectors:
        assert deviation(graph, vectors["inputs"], vectors["outputs"]) > 100 * CLOSE


def test_layers_of_an_s5_block():
    graph = load_ssm(VECTORS / "ssm_s5_blocks.pt")
    layers = [(x.name, x.kind, x.size, x.activation) for x in graph.layers if x.level <= 8]
    assert layers == [
        ("blocks.0.attn_norm", "LayerNorm", 6, "layernorm"),
        ("blocks.0.s5.seq.drive", "Linear", 16, ""),
        ("blocks.0.s5.seq", "SSM", 16, ""),
        ("blocks.0.s5.seq.y", "Linear", 6, "gelu"),
        ("blocks.0.ff_norm", "LayerNorm", 6, "layernorm"),
        ("blocks.0.ff_enc.factor", "Linear", 6, "gelu"),
        ("blocks.0.ff_enc.value", "Linear", 6, ""),
        ("blocks.0.geglu", "Gate", 6, ""),
        ("blocks.1.attn_norm", "LayerNorm", 6, "layernorm"),
    ]
    assert graph.readout == "mean"
    assert graph.outputs == ("decoder",)


def test_an_lmu_keeps_one_pole_of_a_pair_and_feeds_back_one_step_late():
    graph = load_ssm(VECTORS / "ssm_lmu.pt")
    layers = {layer.name: layer for layer in graph.layers}
    assert layers["lmu.cell.m"].dendrites.poles.shape == (2,)
    assert layers["lmu.cell.h"].activation == "tanh"
    late = {(c.source, c.target) for c in graph.connections if c.delay}
    assert late == {("lmu.cell.h", "lmu.cell.u"), ("lmu.cell.h", "lmu.cell.h")}
    note = next(n for n in graph.notes if n["node"] == "lmu.cell")
    assert note["change"] == "the memory's 4 numbers become 2 states"
    assert note["effect"].startswith("condition ")


def test_parts_of_an_lru_may_be_real(tmp_path):
    """B_re, B_im, ... of adrian-valente/lru_experiments are the complex B and C."""
    torch_like = {}
    whole = load_ssm(VECTORS / "ssm_lru_glu.pt")
    for name, value in read_torch(VECTORS / "ssm_lru_glu.pt").items():
        if value.dtype.kind == "c":
            torch_like |= {f"{name}_re": value.real, f"{name}_im": value.imag}
        else:
            torch_like[name] = value
    parts = load_torch(tmp_path, torch_like)
    x = np.random.default_rng(0).normal(0, 1, (9, 2))
    assert (answer(parts, x) == answer(whole, x)).all()


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("more", [{}, {"glu": False}, {"ff_mult": 2.0, "block_count": 2}])
def test_s5_blocks_as_the_installed_package_runs_them(seed, more, tmp_path):
    torch, s5 = pytest.importorskip("torch"), pytest.importorskip("s5")
    torch.manual_seed(seed)
    block = s5.S5Block(6, 8, False, **more).eval()
    torch.save(block.state_dict(), tmp_path / "m.pt")
    x = torch.randn(2, 40, 6)
    with torch.no_grad():
        y = block(x).numpy()
    graph = load_graph(tmp_path / "m.pt")
    assert graph.readout == "none"
    assert deviation(graph, x.numpy(), y) < 1e-5, f"seed {seed}"


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(2))
def test_recorded_answers_are_those_of_today(seed):
    """Code that is installed gives them again."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("s5")
    sys.path.insert(0, str(VECTORS))
    try:
        import make_ssm_oracles as script
    finally:
        sys.path.remove(str(VECTORS))
    case = ("s5_blocks", "s5_plain")[seed]
    model = script.CASES[case][1]().eval()
    model.load_state_dict(torch.load(VECTORS / f"ssm_{case}.pt", weights_only=True))
    with np.load(VECTORS / f"ssm_{case}.npz") as vectors, torch.no_grad():
        found = model(torch.from_numpy(vectors["inputs"])).numpy()
        assert np.abs(found - vectors["outputs"]).max() < CLOSE
