"""Selective layers: their answer, their cost, and that they are not mapped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch_files import save

from hdl.params.errors import UserError
from mapping.activations import ACTIVATIONS
from mapping.importers.load import inspect_file, load_graph
from mapping.importers.ssm_mamba import ENTRIES, cost, forward, tables
from mapping.importers.ssm_units import find_units


def mamba(draw=0, size=3, inner=4, states=2, width=3, rank=2, prefix="m."):
    rng = np.random.default_rng(draw)
    shapes = {
        "in_proj.weight": (2 * inner, size), "conv1d.weight": (inner, 1, width),
        "conv1d.bias": (inner,), "x_proj.weight": (rank + 2 * states, inner),
        "dt_proj.weight": (inner, rank), "dt_proj.bias": (inner,), "D": (inner,),
        "out_proj.weight": (size, inner),
    }  # fmt: skip
    made = {prefix + k: rng.normal(0, 1, s) / math.sqrt(s[-1]) for k, s in shapes.items()}
    made[prefix + "A_log"] = np.log(rng.uniform(0.1, 4, (inner, states)))
    return made


def unit(**sizes):
    ((found,), left, problems) = find_units(mamba(**sizes))
    assert not left
    assert not problems
    return found


def plain(model, x):
    """The equations of the paper, number by number (arXiv 2312.00752, section 3)."""

    def p(name):
        return model["m." + name].tolist()

    def matmul(rows, values):
        return [sum(a * b for a, b in zip(row, values, strict=True)) for row in rows]

    def silu(v):
        return v / (1 + math.exp(-v))

    inner, states = model["m.A_log"].shape
    width, rank = model["m.conv1d.weight"].shape[2], model["m.dt_proj.weight"].shape[1]
    past = [[0.0] * inner for _ in range(width)]
    s = [[0.0] * states for _ in range(inner)]
    answers = []
    for token in x.tolist():
        both = matmul(p("in_proj.weight"), token)
        past = [*past[1:], both[:inner]]
        u = []
        for e in range(inner):
            kernel = p("conv1d.weight")[e][0]
            u.append(silu(sum(k * row[e] for k, row in zip(kernel, past, strict=True))
                          + p("conv1d.bias")[e]))  # fmt: skip
        mixed = matmul(p("x_proj.weight"), u)
        b, c = mixed[rank : rank + states], mixed[rank + states :]
        y = []
        for e, value in enumerate(matmul(p("dt_proj.weight"), mixed[:rank])):
            dt = math.log(1 + math.exp(value + p("dt_proj.bias")[e]))
            total = p("D")[e] * u[e]
            for n in range(states):
                a = math.exp(-dt * math.exp(p("A_log")[e][n]))
                s[e][n] = a * s[e][n] + dt * b[n] * u[e]
                total += c[n] * s[e][n]
            y.append(total * silu(both[inner + e]))
        answers.append(matmul(p("out_proj.weight"), y))
    return np.array(answers)


@pytest.mark.parametrize("sizes", [{}, {"draw": 1, "size": 1, "inner": 1, "states": 1, "width": 1,
                                   "rank": 1}, {"draw": 2, "inner": 6, "states": 5}])  # fmt: skip
def test_the_answer_is_the_papers(sizes):
    x = np.random.default_rng(3).normal(0, 1, (11, sizes.get("size", 3)))
    expected = plain(mamba(**sizes), x)
    assert np.abs(forward(unit(**sizes), x) - expected).max() < 1e-12


def test_the_cost_is_counted_product_by_product():
    """d_model 16, inner 32, 16 states, a convolution of 4, rank 1, by hand."""
    found = cost(unit(size=16, inner=32, states=16, width=4, rank=1))
    dense = 64 * 16 + 33 * 32 + 32 * 1 + 16 * 32
    each = 4 + 1 + 1 + 1  # taps, dt u, D u, times silu(z)
    assert found.multiplications == dense + 32 * each + 4 * 32 * 16  # dt A, a s, dt u B, C s
    assert found.lookups == 32 * 16 + 32 * 3  # exp; softplus and twice silu
    assert found.words == 32 * 16 + 32 * 3


def test_tables_are_near_their_functions():
    functions, x = tables(), np.linspace(-12, 12, 20001)
    for name, slope in (("silu", 1.1), ("softplus", 1.0)):
        away = np.abs(functions[name](x) - ACTIVATIONS[name](x))
        step = 16 / ENTRIES
        assert away.max() < slope * step / 2 + 8 * math.exp(-8)
        assert len(np.unique(functions[name](x[np.abs(x) < 7.99]))) <= ENTRIES
    v = np.concatenate([np.exp2(np.linspace(-30, 10, 40001)), [0.0]])
    found, true = functions["exp"](-v), np.exp(-v)
    assert np.abs(found - true).max() < 1 / (2 * 32 * math.e) * 1.05
    slow = v < 1e-3
    assert (np.abs(found - true)[slow] <= v[slow] / 60 + 2.0**-24).all()
    assert len(np.unique(found)) <= ENTRIES + 2


def test_a_model_is_inspected_but_not_loaded(tmp_path):
    tensors = mamba(prefix="layers.0.mixer.") | mamba(1, prefix="layers.1.mixer.")
    path = save(tmp_path / "m.pt", tensors | {"embedding.weight": np.ones((5, 3))})
    found = inspect_file(path)
    assert [(n["name"], n["kind"], n["status"]) for n in found.nodes] == [
        (f"layers.{i}.mixer", "Mamba", "unsupported") for i in range(2)
    ]
    assert found.notes[0]["change"] == (
        "a token takes 124 multiplications, 20 table look-ups and 16 state words"
    )
    effect = found.notes[0]["effect"]
    assert effect.startswith("exp, softplus and silu from tables of 1024 entries change the answer")
    assert 0.01 < float(effect.split(" by ")[1].split("%")[0]) < 5
    with pytest.raises(UserError) as caught:
        load_graph(path)
    lines = str(caught.value).split("\n  ")
    assert lines[1:] == list(found.problems)
    assert lines[1] == (
        "'layers.0.mixer' is selective: its poles exp(dt A) change with every token and cores hold "
        "poles as constants; train S4D, S5 or LRU layers instead"
    )


def test_wrong_sizes_by_their_message(tmp_path):
    tensors = mamba() | {"m.x_proj.weight": np.ones((7, 4))}
    found = inspect_file(save(tmp_path / "m.pt", tensors))
    assert found.problems[0] == "'m.x_proj.weight' must have 6 rows, not 7"
    assert found.notes == ()
    tensors = mamba() | {"m.D": np.ones(5)}
    found = inspect_file(save(tmp_path / "m.pt", tensors))
    assert found.problems[0] == "'m.D' must be [E] with E = 4, its shape is [5]"
    assert found.notes == ()
