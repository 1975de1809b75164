"""Early termination."""

import numpy as np
import pytest

from hdl.params.sc.lfsr import TAPS
from hdl.params.sc.progress import ProgressParams
from hdl.sc.progress import Progress
from sim.golden.sc.lfsr import states
from sim.golden.sc.packed import pack, unpack
from sim.golden.sc.progress import ProgressModel, stability
from sim.golden.sc.sobol import points
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 0}, r"bits must be in 1\.\.24, not 0"),
        ({"bits": 4, "tolerance": 17}, r"tolerance must be in 0\.\.16, not 17"),
        ({"bits": 4, "first": 4}, r"first must be in 0\.\.3, not 4"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        ProgressParams(**change)


def test_by_hand():
    """n = 3: E = 8, 4, 4 after 1, 2, 4 bits; stops after 4, the rest does not count."""
    params = ProgressParams(bits=3, tolerance=0, first=0)
    out = ProgressModel(params).run(8, a=pack([1, 0, 1, 0, 1, 1, 1, 1]))
    assert out["estimate"].tolist() == [8, 4, 4, 4, 4, 4, 4, 4]
    assert unpack(out["done"], 8).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    late = ProgressModel(ProgressParams(bits=3, tolerance=0, first=2))
    out = late.run(9, a=pack([1, 0, 1, 0, 1, 1, 1, 1, 0]))
    assert out["estimate"].tolist() == [8, 4, 4, 4, 4, 4, 4, 6, 6]
    assert unpack(out["done"], 9).tolist() == [0] * 7 + [1, 1]


NUMBERS = np.arange(257)


@pytest.mark.parametrize(
    ("generator", "published"),
    [
        ("lfsr", (0.398, 0.256, 0.182, 0.108, 0.030, 0.0002)),
        ("vdc", (0.070, 0.034, 0.016, 0.007, 0.003, 0.0)),
        ("iid", (0.144, 0.102, 0.072, 0.051, 0.036, 0.026)),
    ],
)
def test_progressive_precision(generator, published):
    """RMS error of E(k) for k = 3..8 over all numbers of 8 bits: the table of the docstring."""
    value = {
        "lfsr": states(8, TAPS[8], 1, 256)[None],
        "vdc": points(8, 1, range(256))[None],
        "iid": np.random.default_rng(1).integers(0, 256, (400, 256)),
    }[generator]
    a = pack(value[:, None] < NUMBERS[:, None])
    estimates, _ = ProgressModel(ProgressParams(tolerance=0)).checkpoints(256, a)
    rms = np.sqrt(np.mean((estimates[..., 3:] / 256 - NUMBERS[:, None] / 256) ** 2, axis=(0, 1)))
    assert rms == pytest.approx(published, abs=0.0006, rel=0.04 if generator == "iid" else 0)


def test_cost_of_a_tolerance():
    """Van der Corput: as the docstring says; E(k) is always off by less than 2**(n - k).

    (Every prefix of 2**k points has one in each interval of that size.)
    """
    a = pack(points(8, 1, range(256)) < NUMBERS[:, None])
    for tolerance, bits, rms in ((0, 27.9, 13.6), (4, 20.0, 13.6), (16, 12.0, 14.2)):
        model = ProgressModel(ProgressParams(tolerance=tolerance, first=2))
        estimates, stop = model.checkpoints(256, a)
        error = np.take_along_axis(estimates, stop[:, None], 1)[:, 0] - NUMBERS
        assert (abs(error) < 1 << (8 - stop)).all()
        assert abs(error).max() == 31
        assert (1 << stop).mean() == pytest.approx(bits, abs=0.06)
        assert np.sqrt(np.mean(error**2)) == pytest.approx(rms, abs=0.06)


def test_stability():
    """By hand, and against the definition cycle by cycle (as UnarySim's metric.py runs it)."""
    assert stability(pack([1, 0, 1, 0]), 4, np.array(0.5), threshold=0.2) == 1 - 1 / 4
    assert stability(pack([0, 0, 0, 0]), 4, np.array(1.0)) == 0
    assert stability(pack([1, 1, 1, 1]), 4, np.array(1.0), bipolar=True) == 1 - 1 / 4
    rng = np.random.default_rng(3)
    value = rng.uniform(-1, 1, 50)
    a = bernoulli(rng, (1 + value) / 2, 200)
    for run, bits in enumerate(unpack(a, 200).astype(int)):
        last = 1
        for t in range(1, 201):
            if abs(2 * bits[:t].mean() - 1 - value[run]) > 0.05:
                last = t
        got = stability(a[run], 200, value[run], bipolar=True)
        assert got == pytest.approx(1 - last / 200)


def test_low_discrepancy_is_stable_sooner():
    value = NUMBERS / 256
    vdc = stability(pack(points(8, 1, range(256)) < NUMBERS[:, None]), 256, value)
    lfsr = stability(pack(states(8, TAPS[8], 1, 256) < NUMBERS[:, None]), 256, value)
    assert vdc.mean() > 0.9
    assert lfsr.mean() < 0.6


@pytest.mark.parametrize(
    "params",
    [
        ProgressParams(bits=1, tolerance=1, first=0),
        ProgressParams(bits=3, tolerance=0, first=0),
        ProgressParams(bits=3, tolerance=2, first=1),
        ProgressParams(bits=3, tolerance=0, first=2),
    ],
)
def test_rtl_over_every_stream(params):
    check(params, Progress, ProgressModel, {"a": every(10)[0]}, length=10)


def test_rtl_over_long_streams():
    params = ProgressParams(bits=9, tolerance=20, first=2)
    check(params, Progress, ProgressModel, random_inputs(params, 60, 600, seed=5), length=600)
