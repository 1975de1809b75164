import itertools

import numpy as np
import pytest

from codesign.explore.plan import Plan
from codesign.explore.space import Parameter, Space, derive
from codesign.settings import Settings
from mapping.importers.load import load_graph
from sim.stimulus import read_stimulus
from tests.codesign.kit_explore import SETTINGS, files
from tests.codesign.small import small_model
from tests.mapping.nir_files import node


def space(folder, settings=SETTINGS, model=None, **plan):
    made, data = files(folder)
    stimulus = read_stimulus(data)
    graph = load_graph(model or made, settings.options)
    return derive(graph, stimulus, stimulus, settings, Plan(**plan))


def values(found):
    return {p.name: p.values for p in found.parameters}


def test_a_spiking_model_may_be_stochastic_layer_by_layer(tmp_path):
    found = values(space(tmp_path))
    assert found["engine.lif1"] == found["engine.lif2"] == ("event", "stochastic")
    assert found["weight_bits"][0] == "ternary"
    assert found["steps"] == (3, 6, 9, None)
    assert found["cores"] == (1, 2, 3)
    assert found["lanes"] == (1, 2, 4, 8, 16)
    assert "state_bits" not in found
    assert "adc_bits" not in found


def test_engines_are_those_that_are_allowed(tmp_path):
    found = values(space(tmp_path, engines=("event",)))
    assert not any(name.startswith("engine") for name in found)
    assert "stream_length" not in found
    found = values(space(tmp_path, engines=("event", "crossbar")))
    assert found["engine.lif1"] == ("event", "crossbar")
    assert found["device"][0] == "pcm"
    assert {"adc_bits", "array_rows", "array_columns"} <= set(found)


def test_integrators_may_be_states_where_that_is_allowed(tmp_path):
    leaky = node("LI", tau=np.full(3, 1e-2), r=np.ones(3), v_leak=np.zeros(3))
    model = small_model(tmp_path / "li.nir", lif2=leaky)
    settings = Settings().with_values({"readout": "last", "dt": 1e-4})
    found = values(space(tmp_path, settings, model, engines=("event", "ssm")))
    assert [name for name in found if name.startswith("engine")] == ["engine.lif2"]


def test_fixed_settings_are_not_searched_and_given_values_replace(tmp_path):
    found = space(tmp_path, fix={"lanes": 4}, vary={"prune": (0, 0.25), "decay_bits": (8, 12)})
    assert "lanes" not in values(found)
    assert found.base["lanes"] == 4
    assert values(found)["prune"] == (0, 0.25)
    assert values(found)["decay_bits"] == (8, 12)


def test_values_for_each_layer(tmp_path):
    found = space(tmp_path, by_layer=("engine", "weight_bits"),
                  vary={"weight_bits": (3, 5), "prune.lif1": (0.0, 0.5)})  # fmt: skip
    assert values(found)["weight_bits.lif1"] == values(found)["weight_bits.lif2"] == (3, 5)
    made = found.settings({"weight_bits.lif1": 3, "weight_bits.lif2": 5, "prune.lif1": 0.5})
    assert made["weight_bits"] == {"*": 8, "lif1": 3, "lif2": 5}
    assert made["prune"] == {"*": 0.0, "lif1": 0.5}


SMALL = Space(
    (
        Parameter("engine.a", ("event", "stochastic"), False),
        Parameter("stream_length", (16, 64)),
        Parameter("lanes", (1, 4)),
        Parameter("update_lanes", (None, 1, 4)),
        Parameter("cores", (1, 2)),
        Parameter("width", (None, 2), False),
        Parameter("steps", (4, None)),
    ),
    {"engine": "event"},
)


def genomes(found):
    for row in itertools.product(*(range(len(p.values)) for p in found.parameters)):
        yield dict(zip([p.name for p in found.parameters], row, strict=True))


def test_a_choice_says_nothing_that_has_no_effect():
    choices = [SMALL.choice(genome) for genome in genomes(SMALL)]
    assert len(choices) == SMALL.size == 192
    for choice in choices:
        assert ("stream_length" in choice) == (choice["engine.a"] == "stochastic")
        assert choice["update_lanes"] is None or choice["update_lanes"] <= choice["lanes"]
        assert choice["width"] is None or choice["width"] <= choice["cores"]
        assert all(choice[p.name] in p.values for p in SMALL.parameters if p.name in choice)
    distinct = {tuple(sorted(choice.items(), key=str)) for choice in choices}
    # 1 + 2 of stream and engine, 2 + 3 of lanes, 1 + 2 of cores and width, 2 of steps
    assert len(distinct) == 3 * 5 * 3 * 2


def test_what_is_apart_is_no_setting():
    made = SMALL.settings({"engine.a": "stochastic", "stream_length": 16, "steps": 4, "lanes": 4})
    assert made == {"engine": {"*": "event", "a": "stochastic"}, "stream_length": {"*": 16},
                    "lanes": 4}  # fmt: skip


def test_starts_are_the_settings_the_smallest_and_the_widest():
    usual = Space(SMALL.parameters, {"engine": "event", "lanes": 4, "update_lanes": None})
    first, small, wide = map(usual.choice, usual.starts())
    assert (first["lanes"], first["update_lanes"], first["steps"]) == (4, None, None)
    assert (small["lanes"], small["cores"], small["steps"]) == (1, 1, 4)
    assert (wide["lanes"], wide["cores"], wide["update_lanes"]) == (4, 2, 4)


@pytest.mark.parametrize("choices", [{"lanes": 4}, {}])
def test_a_choice_of_nothing_is_the_base(choices):
    assert SMALL.settings(choices) == choices
