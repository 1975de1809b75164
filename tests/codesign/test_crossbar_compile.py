"""Networks on crossbars: near what they were, by a bound; faults, spares; what can't be there."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from codesign.activity import observed
from codesign.crossbar.age import seed_for
from codesign.crossbar.program import program_crossbars
from codesign.crossbar.settings import Crossbars
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.sc.attention import AttentionParams
from mapping.crossbar import targets
from mapping.settings import Quantisation
from sim.golden.network import Golden
from tests.codesign.kit_layers import EXACT, example, layer, on_devices
from tests.kit import random_events, random_program
from tests.kit_stochastic import head_program


def bound(made, x):
    """The most that an input sum of values x [sources] may be off with devices without noise.

    Half of a unit for each target, times the value that drives it; half of a code for each
    converted column, half of a factor's last place for each code, times the read's place; and half
    for the sum's own rounding.
    """
    p = made.program.populations[0]
    c, scale = p.dendrites, targets(made.program, p.name).scale
    worth, last = p.arrays["factor"] * 2.0**-c.fraction, 2.0**-c.fraction
    total = 0.5
    for tile in range(scale.shape[1]):
        part = x[tile * c.rows : (tile + 1) * c.rows]
        total += 0.5 * np.abs(part).sum() * scale[:, tile].max()
        for sign in (1, -1):
            size = np.maximum(sign * part, 0)
            bits = range(max(c.value_bits, 1)) if c.input == "serial" else ()
            places = [2**k for k in bits if (size >> k & 1).any()] or [1] * bool(size.any())
            code = c.width / 2 * (worth[:, tile].max() + last / 2) + (1 << c.adc_bits) * last / 2
            total += sum(places) * code
    return total


def sums(made):
    """Input sums of a layer without and with devices, and the values that drove them."""
    found = [Golden(p).run(made.events).outputs for p in (made.exact, made.program)]
    assert (np.abs(found[0]) < 1 << 26).all()
    return *found, made.events


@pytest.mark.parametrize(
    ("adc_bits", "payload_bits", "given"),
    [
        (16, 0, {}),
        (16, 6, {"pairs": 2}),
        (16, 8, {"coding": "width"}),
        (12, 4, {"array_rows": 13, "array_columns": 9, "converters": 3}),
        (8, 0, {"pairs": 3, "spare_columns": 5}),
        (6, 5, {"array_rows": 16}),
    ],
)
def test_sums_are_exact_up_to_a_bound(adc_bits, payload_bits, given):
    """Ideal devices, in the golden network; the bound is tight enough to mean something."""
    rng = np.random.default_rng([adc_bits, payload_bits])
    weights = rng.integers(-127, 128, (30, 11))
    most = max((1 << payload_bits - 1) - 1, 0) if payload_bits else 1
    events = rng.integers(-most if payload_bits else 0, most + 1, (6, 10, 30))
    events *= rng.random(events.shape) < 0.6
    given = {"array_rows": 64, "array_columns": 24, **EXACT, "adc_bits": adc_bits, **given}
    made = on_devices(layer(weights, payload_bits=payload_bits), events, **given)
    exact, found, values = sums(made)
    np.testing.assert_array_equal(exact, values @ weights)
    error, allowed = np.abs(found - exact).max(2), np.zeros(values.shape[:2])
    for at in np.ndindex(allowed.shape):
        allowed[at] = bound(made, values[at])
    assert (error <= allowed).all()
    assert adc_bits > 12 or error.max() > allowed.max() / 12
    assert allowed.max() < np.abs(exact).max() * 2.0 ** (4 - min(adc_bits, 11))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("options", [{"graded": True}, {"cuba": True}, {"skip": True}], ids=str)
def test_random_networks_are_the_same_on_ideal_devices(seed, options):
    """Weights of a few bits, recurrent, parallel and delayed connections: every output equal."""
    program = random_program(seed, (9, (8, 7), 5), weight_bits=3, exponents=1, **options)
    twice = [replace(q, weights=np.sign(q.weights)) for q in program.projections[:2]]
    program = replace(program, projections=(*program.projections, *twice))
    events = random_events(seed, program, 4, 12, rate=0.4)
    made = on_devices(program, events, array_rows=8, array_columns=8, **EXACT)
    exact, found = (Golden(observed(p)[0]).run(events).outputs for p in (made.exact, made.program))
    assert np.count_nonzero(exact) > 10
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("name", ["recurrent", "vowels"])
def test_examples_are_the_same_on_ideal_devices(name):
    """Recurrent spikes, and graded values: all outputs of the first test samples."""
    made = example(name, 40, **EXACT)
    exact, found = (
        Golden(p).run(made.events, made.lengths).outputs for p in (made.exact, made.program)
    )
    assert np.count_nonzero(exact) > 100
    np.testing.assert_array_equal(found, exact)
    assert all(r.failed == 0 and r.error == 0 for r in made.records)


def test_more_pairs_and_finer_converters_are_nearer():
    """Root mean square of a sum's error, against the sums'; and digits stand it all."""
    rng = np.random.default_rng(11)
    weights = rng.integers(-127, 128, (60, 12))
    events = (rng.random((8, 20, 60)) < 0.3).astype(np.int64)
    found = []
    for given in ({"adc_bits": 4, "program_tolerance": 2.5}, {}, {"adc_bits": 10, "pairs": 4}):
        exact, other, _ = sums(on_devices(layer(weights), events, **given))
        found.append(np.sqrt(((other - exact) ** 2).mean() / (exact**2).mean()))
    assert 0.2 > found[0] > 1.4 * found[1] > 1.4 * 1.4 * found[2]
    made = example("digits", 120)
    counts = Golden(made.program).run(made.events, made.lengths).outputs.sum(1)
    assert (counts.argmax(1) == made.labels).mean() > 0.9


def conductances(made):
    return [p.arrays["conductance"] for p in made.program.populations]


def test_a_seed_is_all_that_chance_depends_on():
    weights = np.random.default_rng(4).integers(-7, 8, (20, 6))
    events = np.random.default_rng(5).integers(0, 2, (2, 5, 20))
    sizes = {"array_rows": 16, "array_columns": 8}
    one, again, other = (
        on_devices(layer(weights), events, device_seed=s, **sizes) for s in (1, 1, 2)
    )
    assert (conductances(one)[0] == conductances(again)[0]).all()
    assert (conductances(one)[0] != conductances(other)[0]).mean() > 0.5
    seeds = {seed_for(s, use, k) for s in (0, 1) for use in range(4) for k in range(8)}
    assert len(seeds) == 64


def test_faults_are_left_for_spare_columns():
    """Columns with a dead device move while spare ones last; what is left is reported."""
    weights = np.random.default_rng(6).integers(-7, 8, (20, 5))
    events = np.random.default_rng(7).integers(0, 2, (2, 5, 20))
    sizes = {"array_rows": 20, "array_columns": 24, "dead": 0.04, "device_seed": 1}
    plain, spared = (
        on_devices(layer(weights), events, spare_columns=n, **sizes).records[0] for n in (0, 14)
    )
    assert plain.failed > 0 == plain.moved
    assert spared.failed == 0 < spared.moved <= 14
    assert "columns were moved to spare ones" in spared.note["effect"]
    assert "moved" not in plain.note["effect"]
    assert f"{plain.failed} by more than the tolerance" in plain.note["effect"]
    few = on_devices(layer(weights), events, spare_columns=1, **{**sizes, "array_columns": 23})
    assert few.records[0].moved == 1
    assert "1 column was moved to a spare one" in few.records[0].note["effect"]
    column = few.program.populations[0].arrays["column"][0]
    assert np.count_nonzero(column == 22) == 1  # some logical column stands on the spare one


def test_a_record_against_plain_counts():
    """7 sources on 4 rows, 5 neurons of 2 pairs on 9 columns: 3 x 2 banks, 140 devices."""
    weights = np.random.default_rng(8).integers(-7, 8, (7, 5))
    weights[0, 0] = 7
    events = np.random.default_rng(9).integers(0, 2, (2, 5, 7))
    made = on_devices(layer(weights), events, array_rows=4, array_columns=9, pairs=2, dead=0.2)
    record, p = made.records[0], made.program.populations[0]
    assert (record.blocks, record.tiles, record.devices) == (3, 2, 7 * 5 * 4)
    assert 0 < record.failed < 100
    assert record.adc_step == pytest.approx(
        p.arrays["factor"].max() * 2.0**-p.dendrites.fraction, rel=1e-3
    )
    assert made.program.notes[-1] == record.note
    assert "140 devices (pcm) in 6 banks of 4 x 9" in record.note["change"]
    assert record.pulses >= record.pulses_per_device * 140 > 0


@pytest.mark.parametrize("sampling", ["binary", "ternary"])
def test_reads_without_noise_draw_nothing(sampling):
    events = np.ones((1, 1, 4), np.int64)
    with pytest.raises(UserError, match="sampling: reads of ideal have no noise that could draw"):
        on_devices(layer(np.eye(4, 3)), events, device="ideal", sampling=sampling)


def test_no_pulse_is_spent_on_a_tolerance_that_reads_can_not_tell(monkeypatch):
    def programmed(*given, **more):
        raise AssertionError("it programs")

    monkeypatch.setattr("sim.golden.crossbar.layer.program_layer", programmed)
    events = np.ones((1, 1, 4), np.int64)
    with pytest.raises(UserError, match=r"program_tolerance: 0\.01 standard deviations"):
        on_devices(layer(np.eye(4, 3)), events, program_tolerance=0.01)
    with pytest.raises(AssertionError, match="it programs"):
        on_devices(layer(np.eye(4, 3)), events)


def test_layers_that_can_not_be_there():
    """Left as they are if all layers are asked for, refused if they are named."""
    program = head_program(AttentionParams(tokens=4, dim=3))
    events = random_events(3, program, 1, 4)
    graph = SimpleNamespace(connections=())
    head = next(p.name for p in program.populations if p.dendrites is not None)

    def put(engine):
        settings = Quantisation(engine=engine)
        return program_crossbars(program, graph, settings, Crossbars(), events)

    found, records = put("crossbar")
    kinds = {p.name: isinstance(p.dendrites, Crossbar) for p in found.populations}
    assert [r.node for r in records] == [name for name, there in kinds.items() if there]
    assert not kinds[head]
    with pytest.raises(UserError, match=f"engine: {head} is an attention head"):
        put({head: "crossbar"})
    delay = replace(program.populations[0], kind="Delay", dendrites=None)
    program = replace(program, populations=(delay, *program.populations[1:]))
    assert delay.name not in [r.node for r in put("crossbar")[1]]
    with pytest.raises(UserError, match=f"engine: {delay.name} only repeats its source"):
        put({delay.name: "crossbar"})
    found, records = put("event")
    assert records == []
    assert found.populations == program.populations
