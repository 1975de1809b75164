"""What layers send: changes and who may, tables, and their scales."""

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.activations import ACTIVATIONS, activate
from mapping.quantise import Quantisation, quantise
from mapping.reference import simulate
from mapping.validate import problems
from sim.golden.network import Golden
from tests.mapping.models import model, neurons, spikes, synapses
from tests.mapping.plain_program import Plain
from tests.mapping.state_layers import gate, identity, linear, random_poles, ssm
from tests.mapping.test_quantise import dense


def emits(program):
    return {p.name: Emit(int(p.fields["emit"][0])) for p in program.populations}


def residual(seed=0, size=5, activation="relu"):
    """enc -> states -> linear + enc -> gate with itself -> output."""
    rng = np.random.default_rng(seed)
    poles = random_poles(rng, (size, 2))
    return model(
        3,
        [linear("enc", size, 1, bias=0.1), ssm("x", 2, poles, poles, activation=activation),
         linear("lin", size, 3), gate("g", size, 4), linear("o", 2, 5)],
        [synapses("in", "enc", rng.normal(size=(size, 3))), identity("enc", "x", size),
         synapses("x", "lin", rng.normal(size=(size, size))), synapses("enc", "lin", np.eye(size)),
         identity("lin", "g", size, "left"), identity("x", "g", size, "right"),
         synapses("g", "o", rng.normal(size=(2, size)))],
        ["o"],
    )  # fmt: skip


@pytest.mark.parametrize("activation", ["", "relu", "gelu"])
def test_changes_of_any_size_add_up_to_the_values(activation):
    """With spikes for input a payload of E bits with every change is one of E-1 bits without."""
    graph, data = residual(activation=activation), spikes(6, 40, 3)
    values, _ = quantise(graph, data, Quantisation(payload_bits=7))
    changes, reports = quantise(graph, data, Quantisation(payload_bits=8, delta=0))
    assert not problems(changes)
    kind = {"": Emit.DELTA, "relu": Emit.RELU_DELTA, "gelu": Emit.TABLE_DELTA}[activation]
    assert emits(changes) == {"enc": Emit.DELTA, "x": kind, "lin": Emit.DELTA, "g": Emit.DELTA,
                              "o": Emit.STATE}  # fmt: skip
    assert [r.changes for r in reports] == [True, True, True, True, False]
    one, both = 1 << changes.formats.decay_bits, (Plain(values, data), Plain(changes, data))
    for name in ("enc", "x", "lin", "g", "o"):
        assert np.array_equal(both[0].membranes[name], both[1].membranes[name]), name
        p = changes.population(name)
        assert not p.fields["membrane_decay"].any()
        assert (p.fields["current_decay"] == (one if name in ("lin", "o") else 0)).all()
    assert changes.population("x").dendrites.held
    assert changes.population("g").dendrites.held
    assert both[1].events["enc"] < both[0].events["enc"]


def test_thresholds_are_shares_of_the_largest_value():
    graph, data = residual(), spikes(6, 40, 3)
    exact = Plain(quantise(graph, data, Quantisation(delta=0))[0], data)
    last = None
    for share in (0.0, 0.05, 0.2):
        program, _ = quantise(graph, data, Quantisation(delta={"x": share, "*": 0}))
        p = program.population("x")
        most = exact.values["x"].max()
        assert p.fields["threshold"].tolist() == [int(share * most)] * 5
        assert not program.population("enc").fields["threshold"].any()
        run = Plain(program, data)
        assert last is None or run.events["x"] < last
        last = run.events["x"]
        assert np.abs(run.values["x"] - exact.values["x"]).max() <= int(share * most)


def test_sums_of_changes_never_saturate():
    """Currents hold what the weights can make of the largest values, not what was calibrated."""
    graph = residual(1)
    program, _ = quantise(graph, spikes(2, 10, 3, rate=0.05), Quantisation(delta=0))
    for name, sources in (("lin", ("x", "enc")), ("o", ("g",))):
        into = [i for i, q in enumerate(program.projections) if q.target == name]
        assert {program.projections[i].source for i in into} == set(sources)
        rows = sum(np.abs(dense(program, i)).sum(0) for i in into)
        shift = program.population(name).fields["shift"][0]
        assert (rows.max() * 64 << shift) < 1 << (program.formats.current_bits - 1)
    loud = spikes(4, 60, 3, seed=9, rate=0.9)
    Plain(program, loud)  # asserts it
    with pytest.raises(
        UserError, match=r"(lin|o): sums of changes need \d+ current bits, 12 avail"
    ):
        quantise(graph, loud, Quantisation(delta=0, current_bits=12))


def closure(changed=None, extra=(), **settings):
    graph = residual()
    layers = [{p.name: p for p in graph.layers} | (changed or {})][0].values()
    graph = model(3, list(layers), [*graph.connections, *extra], ["o"])
    program, _ = quantise(graph, spikes(4, 20, 3), Quantisation(**{"delta": 0, **settings}))
    assert not problems(program)
    why = {n["node"]: n["effect"] for n in program.notes if "not changes" in n["change"]}
    return {n for n, e in emits(program).items() if e >> 4}, why


def test_who_sends_changes_is_closed():
    everyone = {"enc", "x", "lin", "g"}
    assert closure() == (everyone, {})
    assert closure(delta=None) == (set(), {})
    # One target of a silent source takes its other sources out, and so on.
    sending, why = closure(delta={"g": 0.1, "lin": 0.0, "x": 0})
    assert sending == {"g"}
    assert why == {"x": "lin also listens to enc, which does not send changes",
                   "lin": "g also listens to x, which does not send changes"}  # fmt: skip
    sending, why = closure(extra=[synapses("in", "o", np.ones((2, 3)))])
    assert sending == {"enc", "x", "lin"}
    assert why == {"g": "o also listens to in, which does not send changes"}
    sending, why = closure(engine={"o": "stochastic"})
    assert sending == {"enc", "x", "lin"}
    assert why == {"g": "o sums on the stochastic engine, whose errors would add up"}
    cuba = linear("o", 2, 5, kind="CubaLI", has_current=True, current_decay=0.5,
                  membrane_decay=0.5)  # fmt: skip
    assert closure({"o": cuba})[1] == {"g": "o has a current of its own"}


def test_changes_drive_spiking_neurons_and_go_round_loops():
    """A leaky neuron adds changes up in its current; what comes a step late too."""
    rng = np.random.default_rng(0)
    graph = model(
        3,
        [linear("h", 4, 1), linear("k", 4, 2), neurons("s", 5, 3)],
        [synapses("in", "h", rng.normal(size=(4, 3))), synapses("h", "k", rng.normal(size=(4, 4))),
         synapses("k", "s", rng.normal(size=(5, 4)))],
        ["s"],
    )  # fmt: skip
    data = spikes(4, 30, 3)
    values, _ = quantise(graph, data, Quantisation(payload_bits=7))
    program, _ = quantise(graph, data, Quantisation(payload_bits=8, delta=0))
    assert emits(program) == {"h": Emit.DELTA, "k": Emit.DELTA, "s": Emit.SPIKE}
    events = data.astype(np.int64)
    runs = [Golden(p).run(events, record_state=True) for p in (values, program)]
    assert runs[0].outputs.any()
    for name in ("h", "k", "s"):
        assert np.array_equal(*(run.state[name].membrane for run in runs)), name
    own = synapses("k", "k", 0.1 * np.eye(4), delay=1)
    graph = model(3, list(graph.layers), [*graph.connections, own], ["s"])
    program, _ = quantise(graph, data, Quantisation(delta=0))
    assert emits(program)["k"] == Emit.DELTA
    program, _ = quantise(graph, data, Quantisation(delta={"k": 0}))
    assert emits(program)["k"] == Emit.VALUE, "h sends values to it"


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "relu"])
@pytest.mark.parametrize("delta", [None, 0.0])
def test_tables_are_the_activation_on_their_grid(name, delta):
    rng = np.random.default_rng(1)
    graph = model(
        3,
        [linear("h", 6, 1, activation=name, bias=0.3), linear("o", 2, 2)],
        [synapses("in", "h", rng.normal(size=(6, 3))), synapses("h", "o", np.ones((2, 6)))],
        ["o"],
    )
    data = rng.integers(-127, 128, (20, 10, 3)) / 64
    data[0, 0] = 1 / 64, 127 / 64, 0
    program, reports = quantise(graph, data, Quantisation(delta=delta, weight_bits=12))
    assert not problems(program)
    p = program.population("h")
    assert program.formats.table_bits == 10 == reports[0].table_bits
    assert reports[1].table_bits == 0
    step = p.membrane_scale[0] * 2.0 ** p.fields["value_shift"][0]
    top = 127 if delta is None else 63
    index = np.arange(-512, 512)
    wanted = np.floor(activate(name, index * step) / p.payload_scale + 0.5)
    assert np.array_equal(p.arrays["table"], np.clip(wanted, -top - 1, top))
    real = simulate(graph, data, record=["h"])
    reach = np.abs(real.membranes["h"]).max()
    assert step * 255 < reach <= step * 512, "the least step that fits"
    assert np.abs(real.layers["h"]).max() == pytest.approx(top * p.payload_scale, rel=1e-3)
    found = Plain(program, data).values["h"] * p.emission_scale
    steepest = np.abs(np.diff(activate(name, index * step))[np.abs(index[:-1] * step) <= reach])
    allowed = 0.55 * (p.payload_scale + steepest.max()) + 1e-3 * np.abs(real.layers["h"]).max()
    assert np.abs(found - real.layers["h"]).max() < allowed


def test_relu_is_no_table_and_uses_its_range():
    graph = model(
        2,
        [linear("h", 2, 1, activation="relu", bias=-3.0), linear("o", 1, 2)],
        [synapses("in", "h", [[0.97, 0.1], [0.03, 0.8]]), synapses("h", "o", np.ones((1, 2)))],
        ["o"],
    )
    data = np.random.default_rng(0).uniform(-4, 4, (20, 10, 2))
    program, _ = quantise(graph, data)
    run = Plain(program, data)
    assert emits(program)["h"] == Emit.RELU
    assert program.formats.table_bits == 0
    assert run.values["h"].min() == 0
    assert 64 <= run.values["h"].max() <= 127, "values to 1, membranes to -7"


def test_an_output_with_an_activation_sends_values():
    layer = linear("h", 2, 1, activation="sigmoid")
    graph = model(2, [layer], [synapses("in", "h", np.eye(2))], ["h"])
    program, _ = quantise(graph, np.random.default_rng(0).normal(size=(5, 5, 2)),
                          Quantisation(delta=0))  # fmt: skip
    assert emits(program)["h"] == Emit.TABLE
    assert [n["effect"] for n in program.notes if "changes" in n["change"]] == ["it is an output"]


def test_settings_name_layers_by_what_feeds_them_too():
    data, names = spikes(4, 20, 3), {"enc_x": 0.2, "*": 0}
    program, _ = quantise(residual(), data, Quantisation(delta=names, state_bits={"enc_x": 9}))
    assert program.population("x").fields["threshold"].min() > 0
    assert not program.population("enc").fields["threshold"].any()
    assert program.population("x").dendrites.state_bits == 9
