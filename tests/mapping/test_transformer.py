"""Transformers from state_dicts: the Graph against plain loops, and bad ones by their message."""

from __future__ import annotations

import numpy as np
import pytest
from torch_files import save
from transformers import answers, tensors

from codesign.inspect import inspect_model
from hdl.params.errors import UserError
from hdl.params.sc.attention import AttentionParams
from mapping.graph import Options
from mapping.importers.load import inspect_file, load_graph
from mapping.quantise import quantise
from mapping.reference import simulate
from mapping.settings import Quantisation
from sim.golden.network import Golden

MODELS = [
    {},
    {"causal": 1},
    {"readout": 1, "bias": True, "reset": 0},
    {"readout": 2, "causal": 1, "reset": 2, "bias": True},
    {"readout": 2, "blocks": 2, "causal": 1},
    {"blocks": 3, "tokens": 4, "head": 3},
    {"tokens": 1, "head": 1, "pixels": 1, "hidden": 1, "dim": 2},
]


def load(tmp_path, model, **options):
    return load_graph(save(tmp_path / "net.pt", model), Options(**options))


def stimulus(model, samples=8, steps=12, seed=5):
    width = int(model["config.tokens"]) * model["embed.weight"].shape[1]
    rng = np.random.default_rng(seed)
    return (rng.random((samples, steps, width)) < 0.5).astype(float)


@pytest.mark.parametrize("changes", MODELS)
def test_the_graph_equals_loops_over_tokens(changes, tmp_path):
    model = tensors(9 if changes.get("tokens") == 1 else 11, **changes)
    graph = load(tmp_path, model)
    x = stimulus(model)
    result = simulate(graph, x)
    expected = np.array([answers(model, sample) for sample in x])
    assert np.abs(result.outputs - expected).max() < 1e-9
    rates = {n: v.mean() for n, v in result.layers.items() if n.endswith("attention")}
    assert all(0.02 < rate < 0.98 for rate in rates.values()), f"the test is blind: {rates}"


@pytest.mark.parametrize("changes", MODELS[:5])
def test_golden_model_of_certain_attention_equals_the_float_model(changes, tmp_path):
    """Weights on a grid and probabilities of 0 or 1: no loss and no chance, every spike agrees."""
    model = tensors(7, **changes)
    graph = load(tmp_path, model)
    x = stimulus(model)
    settings = Quantisation(weight_bits=8, readout="none", fraction_bits=12)
    program, _ = quantise(graph, x, settings)
    run = Golden(program).run(x.astype(np.uint8), np.full(len(x), x.shape[1]))
    result = simulate(graph, x)
    for name in {p.name for p in program.populations} - set(program.outputs):
        assert (run.events[name] == result.layers[name].sum((1, 2))).all(), name


def test_only_what_the_last_token_needs_is_built(tmp_path):
    sizes = {layer.name: layer.size for layer in load(tmp_path, tensors(readout=2)).layers}
    assert sizes == {
        "embed.lif": 15, "blocks.0.query.lif": 6, "blocks.0.key.lif": 6, "blocks.0.value.lif": 6,
        "blocks.0.attention": 6, "blocks.0.out.lif": 5, "blocks.0.up.lif": 6,
        "blocks.0.down.lif": 5, "readout": 3,
    }  # fmt: skip


def test_a_block_in_the_graph(tmp_path):
    model = tensors(causal=1, score_gain=2, value_gain=1)
    graph = load(tmp_path, model)
    layers = {layer.name: layer for layer in graph.layers}
    head = layers["blocks.0.attention"]
    assert head.dendrites == AttentionParams(
        tokens=3, dim=2, causal=True, score_gain=2, value_gain=1, seed=7
    )
    ports = {c.port: c for c in graph.connections if c.target == head.name}
    assert {port: c.source for port, c in ports.items()} == {
        "query": "blocks.0.query.lif", "key": "blocks.0.key.lif", "value": "blocks.0.value.lif",
    }  # fmt: skip
    assert all((c.matrix.toarray() == np.eye(6)).all() for c in ports.values())
    into = {c.source: c for c in graph.connections if c.target == "blocks.0.out.lif"}
    weight = model["blocks.0.out.weight"]
    blocks = into["blocks.0.attention"].matrix.toarray().reshape(3, 5, 3, 2)
    for i in range(3):
        for j in range(3):
            assert (blocks[i, :, j] == (weight if i == j else 0)).all()
    assert (into["embed.lif"].matrix.toarray() == 0.5 * np.eye(15)).all()
    assert (layers["embed.lif"].bias.reshape(3, 5) == model["embed.position"]).all()
    assert graph.random == {
        "blocks.0.attention", "blocks.0.out.lif", "blocks.0.up.lif", "blocks.0.down.lif", "readout",
    }  # fmt: skip
    assert [layer.level for layer in graph.layers] == [1, 2, 2, 2, 3, 4, 5, 6, 7]


def test_heads_of_several_blocks_draw_differently(tmp_path):
    graph = load(tmp_path, tensors(blocks=3, seed=(1 << 32) - 2))
    seeds = [layer.dendrites.seed for layer in graph.layers if layer.dendrites]
    assert seeds == [(1 << 32) - 2, (1 << 32) - 1, 0]


def test_inspect(tmp_path):
    path = save(tmp_path / "net.pt", tensors(readout=2))
    found = inspect_file(path)
    assert not found.problems
    assert found.parameters == sum(
        v.size for k, v in tensors(readout=2).items() if not k.startswith("config.")
    )
    kinds = [node["kind"] for node in found.nodes]
    assert {k: kinds.count(k) for k in sorted(set(kinds))} == {
        "Attention": 1, "Input": 1, "LI": 1, "LIF": 7, "Linear": 8, "Scale": 2,
    }  # fmt: skip
    shown = inspect_model(path)
    assert shown.mappable
    assert shown.dt is None
    assert [row["level"] for row in shown.layers] == [1, 2, 2, 2, 3, 4, 5, 6, 7]
    bad = inspect_file(save(tmp_path / "bad.pt", {"w": np.ones(3)}))
    assert bad.problems[0].startswith("is no state_dict of a spiking transformer: missing")
    assert bad.nodes == ()


def message(tmp_path, model, **options):
    with pytest.raises(UserError) as caught:
        load(tmp_path, model, **options)
    return str(caught.value).removeprefix(f"{tmp_path / 'net.pt'}: ")


def test_missing_and_unknown_tensors_are_listed_with_what_is_expected(tmp_path):
    model = tensors(blocks=2)
    del model["embed.beta"], model["blocks.0.key.weight"]
    model["head.weight"] = np.ones(3, np.float32)
    assert message(tmp_path, model) == (
        "is no state_dict of a spiking transformer: missing 'embed.beta', 'blocks.0.key.weight'; "
        "unknown 'head.weight'; expected are config.tokens, config.steps, config.causal, "
        "config.score_gain, config.value_gain, config.seed, config.reset, config.readout, "
        "config.threshold, embed.position, embed.weight, embed.beta, readout.weight, readout.beta, "
        "blocks.N.query.weight, blocks.N.key.weight, blocks.N.value.weight, blocks.N.out.weight, "
        "blocks.N.up.weight, blocks.N.down.weight, blocks.N.query.beta, blocks.N.key.beta, "
        "blocks.N.value.beta, blocks.N.out.beta, blocks.N.up.beta, blocks.N.down.beta, "
        "blocks.N.out.residual, blocks.N.down.residual and optionally .bias of every layer "
        "(mapping/importers/transformer.py)"
    )
    many = {f"x{i}": np.ones(1, np.float32) for i in range(20)}
    assert "and 12 more" in message(tmp_path, {**tensors(), **many})


ONE = np.float32(1)
WRONG = [
    ({"config.tokens": np.int64(0)}, "'config.tokens' must be a whole number in 1..1024, not 0"),
    ({"config.reset": np.int64(3)}, "'config.reset' must be a whole number in 0..2, not 3"),
    ({"config.score_gain": np.float32(0.5)},
     "'config.score_gain' must be a whole number in 0..8, not 0.5"),
    ({"config.seed": np.array([1, 2])}, "'config.seed' must hold one number, its shape is [2]"),
    ({"config.threshold": np.float32(0)}, "'config.threshold' must be positive, not 0"),
    ({"blocks.0.out.residual": np.ones(2)},
     "'blocks.0.out.residual' must hold one number, its shape is [2]"),
    ({"embed.weight": np.ones(4)}, "'embed.weight' must be [out, in], its shape is [4]"),
    ({"embed.weight": np.ones((0, 4))}, "'embed.weight' must be [out, in], its shape is [0, 4]"),
    ({"embed.position": np.ones((5, 3))}, "'embed.position' must be [3, 5], its shape is [5, 3]"),
    ({"blocks.0.key.weight": np.ones((3, 5))},
     "'blocks.0.key.weight' must be [2, 5], its shape is [3, 5]"),
    ({"blocks.0.out.weight": np.ones((2, 5))},
     "'blocks.0.out.weight' must be [5, 2], its shape is [2, 5]"),
    ({"blocks.0.down.weight": np.ones((5, 7))},
     "'blocks.0.down.weight' must be [5, 6], its shape is [5, 7]"),
    ({"readout.weight": np.ones((3, 5))}, "'readout.weight' must be [3, 15], its shape is [3, 5]"),
    ({"blocks.0.up.beta": np.ones(5)}, "'blocks.0.up.beta' must be [6], its shape is [5]"),
    ({"blocks.0.up.beta": 1.5 * ONE}, "'blocks.0.up.beta' must lie in 0..1, not 1.5"),
    ({"readout.bias": np.ones(4)}, "'readout.bias' must be [3], its shape is [4]"),
    ({f"blocks.0.{n}.weight": np.ones((300, 5)) for n in ("query", "key", "value")}
     | {f"blocks.0.{n}.beta": ONE / 2 for n in ("query", "key", "value")}
     | {"blocks.0.out.weight": np.ones((5, 300))},
     "blocks.0: the attention's dim must be in 1..256, not 300"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), WRONG)
def test_wrong_tensors_by_their_message(changes, expected, tmp_path):
    found = message(tmp_path, {**tensors(), **changes})
    assert expected in found.split("; ")


def test_settings_that_the_file_states_are_refused(tmp_path):
    assert message(tmp_path, tensors(), reset="zero", dt=1e-3) == (
        "setting 'dt': the file states how its neurons work; remove the setting; "
        "setting 'reset': the file states how its neurons work; remove the setting"
    )
