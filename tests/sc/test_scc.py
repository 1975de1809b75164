"""The correlation meter."""

import numpy as np
import pytest

from hdl.params.sc.scc import SccMeterParams
from hdl.sc.scc import SccMeter
from sim.golden.sc.packed import count, mask, pack
from sim.golden.sc.scc import SccMeterModel, scc, scc_of
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"bits must be in 1\.\.32, not 33"):
        SccMeterParams(bits=33)


def test_published_pairs():
    """Alaghi & Hayes 2013: equal streams, opposite streams, ones independent of each other."""
    a = pack([int(c) for c in "11001100"])
    assert scc_of(a, a, 8) == 1
    assert scc_of(a, ~a & mask(8), 8) == -1
    assert scc_of(a, pack([int(c) for c in "10101010"]), 8) == 0
    assert scc_of(pack([1, 1, 1, 1, 1, 1, 0, 0]), pack([1, 0, 0, 0, 0, 0, 0, 0]), 8) == 1


def test_overlap_decides():
    """Over all pairs of streams of 6 bits: SCC is +-1 exactly at the most and least overlap,

    has the sign of the covariance, and in between is the covariance as a share of the extreme.
    """
    a, b = every(6, 2)
    overlap, ones_a, ones_b = count(a & b), count(a), count(b)
    most, least = np.minimum(ones_a, ones_b), np.maximum(ones_a + ones_b - 6, 0)
    covariance = overlap - ones_a * ones_b / 6
    extreme = np.where(covariance > 0, most, least) - ones_a * ones_b / 6
    value = scc_of(a, b, 6)
    constant = np.isclose(extreme, 0)
    assert (value[constant] == 0).all()
    expected = (covariance / np.where(constant, 1, abs(extreme)))[~constant]
    assert np.allclose(value[~constant], expected)
    assert (value[~constant & (overlap == most)] == 1).all()
    assert (value[~constant & (overlap == least)] == -1).all()


@pytest.mark.parametrize("p", [0.2, 0.5, 0.7])
def test_gates_at_the_three_correlations(p):
    """AND, OR and XOR of streams at SCC = 1, 0, -1 (the closed forms of the docstring)."""
    rng, length, q = np.random.default_rng(1), 1 << 16, 0.4
    u, v = rng.random((2, length))
    a = pack(u < p)
    for other, both, either in (
        (pack(u < q), min(p, q), max(p, q)),
        (pack(v < q), p * q, p + q - p * q),
        (pack(1 - u < q), max(0, p + q - 1), min(1, p + q)),
    ):
        assert count(a & other) / length == pytest.approx(both, abs=0.01)
        assert count(a | other) / length == pytest.approx(either, abs=0.01)
    assert count(a ^ pack(u < q)) / length == pytest.approx(abs(p - q), abs=0.01)
    assert scc_of(a, pack(u < q), length) == 1
    assert scc_of(a, pack(1 - u < q), length) == -1
    assert abs(scc_of(a, pack(v < q), length)) < 0.02


def test_counts_add_up():
    rng = np.random.default_rng(2)
    a, b = (bernoulli(rng, rng.random(20), 300) for _ in range(2))
    counts = SccMeterModel(SccMeterParams(bits=16)).run(300, a=a, b=b)
    assert (sum(counts.values()) == np.arange(1, 301)).all()
    assert (counts["n11"][:, -1] == count(a & b)).all()
    assert (counts["n10"][:, -1] + counts["n11"][:, -1] == count(a)).all()
    last = {name: values[:, -1] for name, values in counts.items()}
    assert np.array_equal(scc(**last), scc_of(a, b, 300))


def test_rtl_over_every_pair_of_streams():
    a, b = every(5, 2)
    check(SccMeterParams(bits=3), SccMeter, SccMeterModel, {"a": a, "b": b}, length=5)


def test_rtl_wraps():
    params = SccMeterParams(bits=5)
    check(params, SccMeter, SccMeterModel, random_inputs(params, 10, 200, seed=1), length=200)
