"""Age, compensation of drift, noise seeds: what they change, and what compensation restores."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.crossbar.age import aged, duration
from hdl.params.crossbar.device import Age
from hdl.params.errors import UserError
from sim.device.integer import age as age_words
from sim.device.integer import tables
from sim.device.posterior import chance_of
from sim.device.table import find_device
from sim.golden.network import Golden
from tests.codesign.kit_layers import layer, on_devices

MONTH, DAY = 2592000.0, 86400.0


@pytest.fixture(scope="module")
def analogue():
    """A layer on PCM whose neurons' weights have sizes of their own."""
    rng = np.random.default_rng(3)
    weights = np.rint(rng.normal(0, 35, (48, 10)) * np.linspace(0.2, 1.2, 10)).clip(-127, 127)
    events = (rng.random((12, 24, 48)) < 0.3).astype(np.int64)
    return on_devices(
        layer(weights), events, adc_bits=10, array_rows=32, array_columns=16, converters=4
    )


def slopes(made, program):
    """Of each neuron the sums' share of the exact ones (least squares)."""
    exact, found = (Golden(p).run(made.events).outputs for p in (made.exact, program))
    return (exact * found).sum((0, 1)) / (exact**2).sum((0, 1))


def restored(device, seed, ages):
    """{age: {compensation: what is left of each neuron's sums}}, in shares of what they were at
    first; and, without compensation, what the devices' own law leaves."""
    rng = np.random.default_rng(seed)
    weights = np.rint(rng.normal(0, 40, (64, 12)) * np.repeat([0.3, 1], 6)).clip(-127, 127)
    events = (rng.random((1, 1500, 64)) < 0.3).astype(np.int64)
    made = on_devices(
        layer(weights), events, device=device, adc_bits=10, program_tolerance=1.0, device_seed=seed
    )
    p, first = made.program.populations[0], slopes(made, made.program)
    nu, t_0 = p.arrays["exponent"] / 1024, find_device(device).t_0

    def weights_of(g):
        return (g[..., ::2] - g[..., 1::2])[0, 0, :, :12]

    real, x, found = weights_of(p.arrays["conductance"]), events[0], {}
    exact = x @ weights
    for age in ages:
        drifted = weights_of(p.arrays["conductance"] * (age / t_0 + 1) ** -nu)
        found[age] = {"law": (exact * (x @ drifted)).sum(0) / (exact * (x @ real)).sum(0)} | {
            kind: slopes(made, aged(made.program, made.crossbars, age, kind)) / first
            for kind in ("none", "global", "column")
        }
    return found


@pytest.mark.parametrize("device", ["pcm", "hermes-2"])
def test_compensation_restores_sums(device):
    """After a day and a month, over four layers: without it what the devices' law leaves, globally
    the mean of neurons, by column each of them better."""
    ages = (DAY, MONTH)
    layers = [restored(device, seed, ages) for seed in range(1, 5)]
    for age in ages:
        left = {kind: np.concatenate([f[age][kind] for f in layers]) for kind in layers[0][age]}
        assert left["none"] == pytest.approx(left["law"], rel=0.03)
        assert left["none"].mean() == pytest.approx(left["law"].mean(), rel=0.005)
        error = {kind: np.abs(share - 1).mean() for kind, share in left.items()}
        assert error["none"] > 0.27
        for kind in ("global", "column"):
            assert left[kind].mean() == pytest.approx(1, abs=0.06)
            assert error[kind] < 0.1
        assert error["column"] < 0.95 * error["global"]


def chances(made, arrays, words):
    """Of each device that a weight has, the exact probability of a 1; by block, tile, column."""
    p = made.program.populations[0]
    device, c = find_device(made.crossbars.device), p.dendrites
    reference = arrays["reference"][:, :, None, :]
    found = chance_of(
        tables(device, c.cell_bits), arrays["conductance"], arrays["exponent"], words, reference
    )
    return found[0, 0, : made.events.shape[2], : 8 * c.width]


@pytest.mark.parametrize("sampling", ["binary", "ternary"])
@pytest.mark.parametrize("seed", [1, 2])
def test_compensation_restores_counts(sampling, seed):
    """References by bisection on 64 reads a column: exact probabilities have the means of before,
    of a bank, or of each column; without compensation no read is above."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-100, 101, (30, 8))
    weights[:2] = [[100], [-100]]
    events = np.ones((1, 1, 30), np.int64)
    made = on_devices(
        layer(weights), events, sampling=sampling, adc_bits=10, program_tolerance=0.25,
        program_averages=8, array_rows=40, array_columns=20, device_seed=seed,
    )  # fmt: skip
    device, p = find_device("pcm"), made.program.populations[0]
    first = chances(made, p.arrays, age_words(device, 0.0))
    wanted = (100 + weights) / 200 if sampling == "binary" else (
        np.stack([weights, -weights], -1).clip(0).reshape(30, -1) / 100
    )  # fmt: skip
    assert np.abs(first - wanted).mean() < 0.06
    for age in (3600.0, MONTH):
        words, left = age_words(device, age), {}
        for kind in ("none", "global", "column"):
            found = aged(made.program, made.crossbars, age, kind).populations[0].arrays
            left[kind] = chances(made, found, words) - first
            same = found["reference"].min(-1) == found["reference"].max(-1)
            assert same.all() == (kind != "column")
        by_column = {kind: np.abs(change.mean(0)).mean() for kind, change in left.items()}
        assert (first + left["none"]).mean() < 0.3 * first.mean()
        assert abs(left["global"].mean()) < 0.03
        assert abs(left["column"].mean()) < 0.03
        assert by_column["column"] < 0.04 < by_column["none"]
        assert by_column["column"] < by_column["global"]


def test_rows_and_columns_without_weights_do_not_count(analogue):
    """The same layer in a larger array is compensated as well: what is off does not dilute it."""
    wide = on_devices(
        analogue.exact, analogue.events, adc_bits=10, array_rows=200, array_columns=60,
        device_seed=5,
    )  # fmt: skip
    first = slopes(wide, wide.program)
    for kind in ("global", "column"):
        left = slopes(wide, aged(wide.program, wide.crossbars, MONTH, kind)) / first
        assert left.mean() == pytest.approx(1, abs=0.05)


def test_what_changes_and_what_does_not(analogue):
    compiled_, crossbars = analogue.program, analogue.crossbars
    p = compiled_.populations[0]

    def changes(*given):
        q = aged(compiled_, crossbars, *given).populations[0]
        names = {n for n, array in q.arrays.items() if (array != p.arrays[n]).any()}
        assert replace(q.dendrites, seed=p.dendrites.seed) == p.dendrites
        return names, q.dendrites.seed == p.dendrites.seed

    assert changes() == (set(), True)
    assert changes(0.0) == (set(), True)
    assert changes(0.0, "column") == (set(), True)
    assert changes(DAY) == ({"age"}, True)
    assert changes(DAY, "none") == ({"age"}, True)
    assert changes(DAY, "global") == ({"age", "factor"}, True)
    assert changes(DAY, "column", 7) == ({"age", "factor"}, False)
    assert changes(None, None, 7) == (set(), False)
    assert changes(None, None, crossbars.device_seed) == (set(), True)
    words = aged(compiled_, crossbars, DAY).populations[0].arrays["age"]
    device = find_device("pcm")
    log_age, fresh, slow = words.tolist()
    assert Age(log_age=log_age, fresh=fresh, slow=slow) == age_words(device, DAY)


def test_noise_is_its_seed(analogue):
    def outputs(seed):
        program = aged(analogue.program, analogue.crossbars, None, None, seed)
        return Golden(program).run(analogue.events).outputs

    assert (outputs(1) == outputs(1)).all()
    assert (outputs(1) != outputs(2)).mean() > 0.5
    assert (outputs(0) == Golden(analogue.program).run(analogue.events).outputs).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((-1.0,), "age: must be a number of seconds from 0, not -1"),
        ((float("nan"),), "age: must be a number of seconds from 0, not nan"),
        ((float("inf"),), "age: must be a number of seconds from 0, not inf"),
        ((1e30,), "time since its first read must be in 0.."),
        ((1.0, "some"), "compensation: must be one of none, global, column, not 'some'"),
        ((None, "column"), "compensation: makes up for drift, so give an age too (--age)"),
        ((None, None, -1), "noise_seed: must be in 0..4294967295, not -1"),
        ((None, None, 1 << 32), "noise_seed: must be in 0..4294967295, not 4294967296"),
    ],
)
def test_wrong_values(analogue, given, message):
    with pytest.raises(UserError) as found:
        aged(analogue.program, analogue.crossbars, *given)
    assert message in str(found.value)
    with pytest.raises(UserError, match="no layer is on a crossbar"):
        aged(analogue.exact, analogue.crossbars, 1.0)


def test_times_in_words():
    times = {0: "0 s", 59.5: "59.5 s", 90: "1.5 min", 3600: "1 h", DAY: "1 day", MONTH: "1 month"}
    assert [duration(seconds) for seconds in times] == list(times.values())
    assert duration(31536000) == "12.2 month"
