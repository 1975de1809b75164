"""The stochastic number generator."""

import numpy as np
import pytest

from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.sng import SngParams
from hdl.params.sc.sobol import SobolParams
from hdl.sc.sng import Sng
from sim.golden.sc.packed import count, unpack
from sim.golden.sc.sng import SngModel
from sim.golden.sc.source import sequence
from tests.sc.kit import check, check_many

_ENCODINGS = ("unipolar", "bipolar", "ternary")
_METHODS = ("comparator", "weighted")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be in 1..32, not 0"),
        ({"width": 33}, "width must be in 1..32, not 33"),
        ({"encoding": "sign"}, "encoding must be 'unipolar' or 'bipolar' or 'ternary', not 'sign'"),
        ({"method": "table"}, "method must be 'comparator' or 'weighted', not 'table'"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        SngParams(**({"width": 8} | change))


def _values(params: SngParams) -> np.ndarray:
    low, high = params.ports[0].range
    return np.arange(low, high + 1)


@pytest.mark.parametrize("method", _METHODS)
@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_the_count_is_the_value(width, encoding, method):
    """Every value: over a period the mean of the stream is the value, exactly."""
    p = SngParams(width=width, encoding=encoding, method=method)
    value, period = _values(p), 1 << width
    assert value[-1] == (period // 2 if encoding == "bipolar" else period)
    assert value[0] == (0 if encoding == "unipolar" else -value[-1])
    random = sequence(SobolParams(width=width, dimension=3, shift=1), period)
    out = SngModel(p).run(period, value=value, random=random)
    ones = count(out["y"])
    if encoding == "unipolar":
        assert (ones == value).all()
    elif encoding == "bipolar":
        assert (2 * ones - period == 2 * value).all()
    else:
        bits, sign = unpack(out["y"], period), unpack(out["sign"], period).astype(int)
        assert ((bits * (1 - 2 * sign)).sum(axis=-1) == value).all()


def test_counts_of_an_lfsr():
    """As the docstring of hdl/params/sc/sng.py says, for every m."""
    lfsr = LfsrParams(width=6, seed=11)
    m = np.arange(65)
    random = {
        "plain": sequence(lfsr, 63),
        "inverted": sequence(LfsrParams(width=6, seed=11, invert=True), 63),
    }

    def ones(method, numbers):
        p = SngParams(width=6, method=method)
        return count(SngModel(p).run(63, value=m, random=random[numbers])["y"])

    assert (ones("weighted", "plain") == np.minimum(m, 63)).all()
    assert (ones("comparator", "plain") == np.maximum(m - 1, 0)).all()
    assert (ones("comparator", "inverted") == np.minimum(m, 63)).all()


def test_prefixes_of_sobol():
    for dimension in (1, 2, 5):
        random = sequence(SobolParams(width=8, dimension=dimension), 256)
        m = np.arange(257)
        for k in range(9):
            p = SngParams(width=8)
            got = count(SngModel(p).run(1 << k, value=m, random=random)["y"])
            assert (got == -(-m * (1 << k) // 256)).all()


def test_weighted_against_text():
    """By strings of digits: the leading zeros of the random number select the bit."""
    random = np.arange(16)
    for m in range(17):
        bits = []
        for r in range(16):
            zeros = f"{r:04b}".find("1")
            bits.append(1 if m == 16 else 0 if zeros < 0 else int(f"{m:04b}"[zeros]))
        out = SngModel(SngParams(width=4, method="weighted")).run(16, value=m, random=random)
        assert unpack(out["y"], 16).tolist() == bits


def test_rtl_exhaustive():
    """Every value with every random number, 1 to 5 bits, all encodings and both methods."""
    for width in (1, 5):
        units = [
            (SngParams(width=width, encoding=encoding, method=method), Sng, SngModel)
            for encoding in _ENCODINGS
            for method in _METHODS
        ]
        inputs = {}
        runs = (2 << width) + 1
        for n, (params, _, _) in enumerate(units):
            inputs[f"u{n}_value"] = np.resize(_values(params), runs)
            inputs[f"u{n}_random"] = np.broadcast_to(np.arange(1 << width), (runs, 1 << width))
        check_many(units, inputs, length=1 << width)


@pytest.mark.parametrize(
    ("encoding", "method", "seed"), [("bipolar", "comparator", 5), ("ternary", "weighted", 6)]
)
def test_rtl_wide(encoding, method, seed):
    """32 bits: the ends of the range, and random numbers of all sizes."""
    p = SngParams(width=32, encoding=encoding, method=method)
    rng = np.random.default_rng(seed)
    low, high = p.ports[0].range
    value = np.concatenate([[low, low + 1, -1, 0, 1, high - 1, high], rng.integers(low, high, 20)])
    random = rng.integers(0, 1 << 32, (len(value), 80)) >> rng.integers(0, 32, (len(value), 80))
    random[:, :2] = 0, (1 << 32) - 1
    check(p, Sng, SngModel, {"value": value, "random": random}, length=80)
