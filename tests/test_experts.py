"""Fabrics with routers, gated copies and experts, Verilated, against golden."""

import numpy as np
import pytest

from mapping.importers.experts import load_experts
from mapping.mapped import Target
from mapping.mapper import map_program
from mapping.quantise import Quantisation, quantise
from sim.rtl import Stalls
from tests.kit_arrivals import Counted, expected
from tests.kit_fabric import build, garbage
from tests.mapping.expert_models import expert_tensors

STALLS = Stalls(on_input=0.4, on_output=0.6, seed=5)


def mixture(seed=1, spikes=False, **settings):
    """A Program, and stimulus for it."""
    graph = load_experts("experts.npz", None, expert_tensors(seed, **settings))
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (4, 12, graph.inputs[0].size))
    x = (x > 0).astype(float) if spikes else x
    program, _ = quantise(graph, x, Quantisation(payload_bits=9))
    values = x if spikes else np.floor(x / program.inputs[0].scale + 0.5)
    return program, values.astype(np.int64)


def test_fabric_computes_goldens_bits(tmp_path):
    """Of fewer cores than experts, two of four weighted by sigmoids: outputs and states of
    sequences of several lengths; memories loaded over random contents."""
    program, inputs = mixture(k=2, gate=1, experts=4, hidden=3, ends=False)
    target = {"cores": 4, "lanes": 2}
    built = build(program, tmp_path, contents=lambda m: garbage(m, 3), **target)
    for stalls in (None, STALLS):
        built.check(inputs, lengths=np.array([12, 1, 7, 12]), stalls=stalls, load=True)


@pytest.mark.parametrize("k", [1])
def test_idle_experts_get_no_events(k, tmp_path):
    """Every step as a sample of its own, so that it shows who was chosen and what came."""
    program, inputs = mixture(k=k, experts=3)
    mapped = map_program(program, Target(lanes=2))
    steps = inputs.reshape(-1, 1, inputs.shape[2])
    outputs, arrived = Counted(mapped, tmp_path).run(steps, stall_in=0.3, stall_out=0.3)
    wanted, sent = expected(mapped, steps)
    np.testing.assert_array_equal(outputs, sent["dec"])
    np.testing.assert_array_equal(arrived, wanted[:, 0])
    chosen, seen = sent["moe0.router"][:, 0] != 0, []
    assert (chosen.sum(1) == k).all()
    for e in range(chosen.shape[1]):
        tiles = np.unique(mapped.slots[f"moe0.experts.{e}.0"][0])
        others = [p.name for p in program.populations if p.name != f"moe0.experts.{e}.0"]
        assert all(not np.isin(tiles, mapped.slots[name][0]).any() for name in others), e
        assert not arrived[~chosen[:, e]][:, tiles].any(), e
        seen += arrived[chosen[:, e]][:, tiles].sum(1).tolist()
    assert len(seen) == k * len(steps)
    assert min(seen) > 0
