import numpy as np
import pytest

from mapping import ranges
from mapping.reference import simulate
from tests.mapping.models import model, neurons, spikes, synapses


@pytest.mark.parametrize("block", [1 << 22, 30 * 64 * 5, 1])
def test_ranges_are_those_of_the_reference(block, monkeypatch):
    monkeypatch.setattr(ranges, "BLOCK", block)
    rng = np.random.default_rng(0)
    graph = model(
        20,
        [neurons("a", 30, 1), neurons("b", 10, 2, spiking=False)],
        [
            synapses("in", "a", rng.normal(size=(30, 20))),
            synapses("in", "b", rng.normal(size=(10, 20)), delay=1),
            synapses("a", "b", rng.normal(size=(10, 30))),
            synapses("a", "a", rng.normal(size=(30, 30)) * 0.1, delay=1),
        ],
        ["b"],
    )
    data = spikes(100, 33, 20)
    reference = simulate(graph, data, record=["b"])
    found = ranges.measure(graph, data)
    low, high = found["b"].membrane
    assert high == pytest.approx(np.maximum(reference.membranes["b"].max((0, 1)), 0))
    assert low == pytest.approx(np.minimum(reference.membranes["b"].min((0, 1)), 0))
    assert found["a"].rate == pytest.approx(reference.layers["a"].mean())
    peak = max(np.abs(bound).max() for bound in found["a"].membrane)
    assert peak == pytest.approx(reference.peak["a"])


def test_steps_past_a_sample_do_not_count():
    graph = model(2, [neurons("a", 2, 1, spiking=False)], [synapses("in", "a", np.eye(2))], ["a"])
    data = np.ones((2, 6, 2))
    data[1, 3:] = 100
    found = ranges.measure(graph, data, np.array([6, 3]))
    whole = simulate(graph, [data[0], data[1, :3]])
    assert found["a"].membrane[1].max() == pytest.approx(whole.outputs.max())
