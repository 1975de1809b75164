"""Attention heads in floating point: their odds in closed form, and what a Graph may not do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from models import model, neurons, synapses

from hdl.params.errors import UserError
from hdl.params.neuron import Emit, Reset
from hdl.params.sc.attention import AttentionParams
from mapping.attention import Head
from mapping.graph import Graph
from mapping.quantise import quantise
from mapping.ranges import measure
from mapping.reference import simulate
from mapping.settings import Quantisation
from mapping.validate import problems

PARAMS = AttentionParams(tokens=3, dim=4, causal=True)


def head(params: AttentionParams = PARAMS, **changes) -> Graph:
    """Three relays of an input's bits, and a head that listens to them; `changes` to the head."""
    n = params.size
    fields = {"kind": "Attention", "membrane_decay": 0.0, "threshold": 0.0, **changes}
    layers = [neurons(name, n, 1, membrane_decay=0.0, threshold=0.5) for name in "qkv"]
    layers.append(neurons("a", n, 2, dendrites=params, **fields))
    links = [
        synapses("in", name, np.eye(3 * n)[i * n : (i + 1) * n]) for i, name in enumerate("qkv")
    ]
    links += [
        synapses(name, "a", np.eye(n), port=port)
        for name, port in zip("qkv", ("query", "key", "value"), strict=True)
    ]
    return model(3 * n, layers, links, ["a"])


def odds(p: AttentionParams, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """P(A[i, d] = 1) for given spikes, over all subsets of S (brute force)."""
    found = np.zeros((p.tokens, p.dim))
    for i in range(p.tokens):
        seen = range(i + 1) if p.causal else range(p.tokens)
        s = [min(1.0, 2.0**p.score_gain * float(q[i] @ k[j]) / p.dim) for j in seen]
        for chosen in np.ndindex(*(2,) * len(s)):
            weight = np.prod([x if c else 1 - x for x, c in zip(s, chosen, strict=True)])
            value = np.array(chosen) @ v[list(seen)]
            found[i] += weight * np.minimum(1.0, 2.0**p.value_gain * value / len(s))
    return found


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("score_gain", "value_gain"), [(0, 0), (1, 0), (0, 1), (2, 1)])
def test_answers_have_the_odds_of_the_equations(causal, score_gain, value_gain):
    params = AttentionParams(
        tokens=4, dim=6, causal=causal, score_gain=score_gain, value_gain=value_gain
    )
    rng = np.random.default_rng(3)
    q, k, v = (rng.random((3, 4, 6)) < 0.6).astype(float)
    one = {
        name: x.reshape(1, -1) for name, x in zip(("query", "key", "value"), (q, k, v), strict=True)
    }
    run, steps = Head(params), 4000
    mean = sum(run.step(one) for _ in range(steps)).reshape(4, 6) / steps
    expected = odds(params, q, k, v)
    sigma = np.sqrt(expected * (1 - expected) / steps)
    assert (expected > 0.05).any()
    assert (np.abs(mean - expected) <= 5 * sigma + 1e-12).all()


def test_answers_do_not_depend_on_the_batch_and_change_with_the_seed():
    graph = head()
    x = (np.random.default_rng(0).random((20, 15, 36)) < 0.7).astype(float)
    together = simulate(graph, x)
    assert 0.05 < together.outputs.mean() < 0.95
    for i in (0, 7, 19):
        assert (simulate(graph, x[i : i + 1]).outputs[0] == together.outputs[i]).all()
    assert (simulate(graph, x, seed=0).outputs == together.outputs).all()
    other = simulate(graph, x, seed=1).outputs
    assert 0.05 < (other != together.outputs).mean() < 0.5
    another = head(dataclasses.replace(PARAMS, seed=1))
    assert (simulate(another, x).outputs != together.outputs).any()


def test_blocks_of_scores_change_nothing(monkeypatch):
    x = (np.random.default_rng(0).random((9, 5, 36)) < 0.7).astype(float)
    whole = simulate(head(), x).outputs
    monkeypatch.setattr("mapping.attention.BLOCK", 10)
    assert (simulate(head(), x).outputs == whole).all()


def test_a_token_that_is_not_seen_does_not_matter():
    graph = head()
    x = (np.random.default_rng(1).random((30, 8, 36)) < 0.7).astype(float)
    y = x.copy().reshape(30, 8, 3, 3, 4)
    y[:, :, :, 2] = 1 - y[:, :, :, 2]  # the last token
    a, b = (simulate(graph, z.reshape(30, 8, 36)).outputs.reshape(30, 8, 3, 4) for z in (x, y))
    assert (a[:, :, :2] == b[:, :, :2]).all()
    assert (a[:, :, 2] != b[:, :, 2]).any()


def test_calibration_runs_the_same_head():
    x = (np.random.default_rng(2).random((6, 9, 36)) < 0.7).astype(float)
    ranges = measure(head(), x)
    assert ranges["a"].rate == pytest.approx(simulate(head(), x).outputs.mean())
    assert ranges["a"].drive[1].max() == 1


@pytest.mark.parametrize(
    "settings",
    [{}, {"weight_bits": 1}, {"weight_bits": "ternary", "fraction_bits": 5}, {"scale": "neuron"},
     {"weight_bits": 3, "membrane_bits": 12, "clip": "max"}],
)  # fmt: skip
def test_a_head_passes_through_quantisation(settings):
    settings = {"graded": False, "weight_bits": {"a": settings.pop("weight_bits", 8)}, **settings}
    x = (np.random.default_rng(2).random((6, 9, 36)) < 0.7).astype(float)
    program, reports = quantise(head(), x, Quantisation(**settings))
    assert problems(program) == []
    p = program.population("a")
    assert p.dendrites == PARAMS
    assert p.kind == "Attention"
    ones = {"membrane_decay": 0, "bias": 0, "threshold": 0, "reset_value": 0, "shift": 0,
            "reset": int(Reset.SET), "emit": int(Emit.SPIKE)}  # fmt: skip
    for name, value in ones.items():
        assert (p.fields[name] == value).all(), name
    into = {q.port: q for q in program.projections if q.target == "a"}
    assert sorted(into) == ["key", "query", "value"]
    for q in into.values():
        assert (q.weights == 1).all()
        assert q.exponent == 0
        assert (q.indices == np.arange(12)).all()
    assert all(w.exact for r in reports if r.node == "a" for w in r.weights)


def test_heads_do_not_take_real_values():
    graph = head()
    links = [dataclasses.replace(c, source="in") if c.port == "key" else c
             for c in graph.connections]  # fmt: skip
    inputs = (dataclasses.replace(graph.inputs[0], size=12, shape=(12,)),)
    relays = [c for c in links if c.port]
    relays += [synapses("in", name, np.eye(12)) for name in "qkv"]
    graph = dataclasses.replace(graph, inputs=inputs, connections=tuple(relays))
    quantise(graph, np.ones((1, 2, 12)))
    with pytest.raises(UserError) as caught:
        quantise(graph, np.full((1, 2, 12), 0.5))
    assert str(caught.value) == (
        "a: its key is input in, which carries real values; an attention head takes spikes: put a "
        "spiking layer between them"
    )


def rewired(graph: Graph, **ports) -> Graph:
    """Other connections into the head; None drops one."""
    links = [c for c in graph.connections if c.port not in ports]
    return dataclasses.replace(
        graph, connections=(*links, *(c for c in ports.values() if c is not None))
    )


def wrong_graphs():
    good, eye = head(), np.eye(12)
    yield (
        rewired(good, key=None),
        ("a: needs one connection into each of query, key, value, not ['query', 'value']"),
    )
    yield (
        rewired(good, key=synapses("k", "a", eye)),
        ("a: needs one connection into each of query, key, value, not ['', 'query', 'value']"),
    )
    yield (
        rewired(good, key=synapses("k", "a", 2 * eye, port="key")),
        ("a: its key must be one to one with weight 1"),
    )
    yield (
        rewired(good, key=synapses("k", "a", eye[::-1], port="key")),
        ("a: its key must be one to one with weight 1"),
    )
    yield (
        rewired(good, x=synapses("in", "q", np.ones((12, 36)), port="key")),
        ("q: a connection names port 'key', which only attention heads and gates have"),
    )
    small = dataclasses.replace(PARAMS, dim=3)
    layers = tuple(dataclasses.replace(n, dendrites=small) if n.name == "a" else n
                   for n in good.layers)  # fmt: skip
    yield dataclasses.replace(good, layers=layers), "a: size must be tokens * dim = 9"
    layers = tuple(dataclasses.replace(n, spiking=False) if n.name == "v" else n
                   for n in good.layers)  # fmt: skip
    yield dataclasses.replace(good, layers=layers), "a: its value v sends values; it takes spikes"
    for change in ({"threshold": 1.0}, {"membrane_decay": 0.5}, {"bias": 1.0}, {"spiking": False},
                   {"compare": ">="}, {"reset": "delayed"}, {"threshold": -0.5}):  # fmt: skip
        yield (
            head(**change),
            ("a: an attention head's neurons must spike where the answer is 1 and keep no state"),
        )


@pytest.mark.parametrize(("graph", "expected"), list(wrong_graphs()))
def test_wrong_heads_by_their_message(graph, expected):
    with pytest.raises(UserError) as caught:
        quantise(graph, np.ones((1, 2, 36)))
    assert expected in str(caught.value)
