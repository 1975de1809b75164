"""The Gaussian source: exact moments of its law, and samples that follow it."""

import numpy as np
import pytest
from scipy import integrate, stats

from hdl.params.sc.draw import draw_generator
from hdl.params.sc.gaussian import WIDTHS, GaussianParams
from hdl.sc.gaussian import Gaussian
from sim.golden.sc.draw import draws
from sim.golden.sc.gaussian import GaussianModel
from tests.sc.kit import check


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "ziggurat"}, "method must be 'table' or 'sum', not 'ziggurat'"),
        ({"fraction": 17}, "fraction must be in 1..16, not 17"),
        ({"method": "sum", "fraction": 14}, "fraction must be in 2..13, not 14"),
        ({"address_bits": 13}, "address_bits must be in 4..12, not 13"),
        ({"method": "sum", "terms": 4}, "terms must be 3 or 12, not 4"),
        ({"seed": 1 << 32}, "seed must be in 0..4294967295, not 4294967296"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        GaussianParams(**change)


def law_of(params: GaussianParams) -> tuple[np.ndarray, np.ndarray]:
    """All values, ascending, and their probabilities over the joint period."""
    if params.method == "table":
        values = np.array([-w for w in params.words] + list(params.words))
        values, counts = np.unique(values, return_counts=True)
        return values, counts / counts.sum()
    uniform = np.ones(1 << params.fraction) / (1 << params.fraction)
    p = np.ones(1)
    for _ in range(params.terms):
        p = np.convolve(p, uniform)
    values = np.arange(len(p)) * 2 - (len(p) - 1)
    return (values if params.terms == 3 else values // 2), p


def moments(values: np.ndarray, p: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skew, excess kurtosis."""
    mean = values @ p
    x = values - mean
    variance = x**2 @ p
    return mean, variance**0.5, x**3 @ p / variance**1.5, x**4 @ p / variance**2 - 3


def ks_distance(params: GaussianParams) -> float:
    """The largest difference of the exact law's distribution to the normal one."""
    values, p = law_of(params)
    normal, above = stats.norm.cdf(values / (1 << params.fraction)), np.cumsum(p)
    return max(abs(above - normal).max(), abs(above - p - normal).max())


@pytest.mark.parametrize(("address_bits", "fraction"), [(4, 16), (8, 8), (10, 10)])
def test_words_are_the_root_mean_squares_of_their_cells(address_bits, fraction):
    """By scipy's quantiles and numerical integration."""
    words = GaussianParams(address_bits=address_bits, fraction=fraction).words
    cells = 1 << address_bits
    edges = stats.norm.ppf(0.5 + np.arange(cells + 1) / (2 * cells))
    for e in {0, 1, cells // 3, cells // 2, cells - 2, cells - 1}:
        mean, _ = integrate.quad(
            lambda x: x * x * stats.norm.pdf(x), edges[e], edges[e + 1], epsabs=1e-14
        )
        assert abs(words[e] - np.sqrt(mean * 2 * cells) * (1 << fraction)) < 0.501


@pytest.mark.parametrize(
    ("address_bits", "fraction", "std", "kurtosis", "largest", "distance"),
    [
        (8, 8, 1.00000, -0.0152, 3.19, 0.0017),
        (10, 10, 0.99999, -0.0037, 3.57, 0.00044),
        (12, 12, 1.00000, -0.0009, 3.92, 0.00011),
    ],
)
def test_stated_law_of_the_table(address_bits, fraction, std, kurtosis, largest, distance):
    params = GaussianParams(address_bits=address_bits, fraction=fraction)
    found = moments(*law_of(params))
    unit = 1 << fraction
    assert abs(found[0]) < 1e-12 * unit
    assert abs(found[2]) < 1e-12
    assert found[1] / unit == pytest.approx(std, abs=5e-6)
    assert found[3] == pytest.approx(kurtosis, abs=6e-5)
    assert params.largest / unit == pytest.approx(largest, abs=5e-3)
    assert ks_distance(params) == pytest.approx(distance, rel=0.03)


@pytest.mark.parametrize("terms", [3, 12])
@pytest.mark.parametrize("fraction", [2, 5, 8])
def test_stated_law_of_the_sum(terms, fraction):
    """By convolution: mean, variance and kurtosis of the closed forms."""
    params = GaussianParams(method="sum", terms=terms, fraction=fraction)
    values, p = law_of(params)
    mean, std, skew, kurtosis = moments(values, p)
    assert mean == pytest.approx(0, abs=1e-9)
    assert std**2 == pytest.approx(4**fraction - 1)
    assert skew == pytest.approx(0, abs=1e-9)
    assert kurtosis == pytest.approx(-1.2 / terms * (1 + 2 / (4**fraction - 1)))
    assert (values.max(), values.min()) == (params.largest, -params.largest)


@pytest.mark.parametrize(
    ("terms", "fraction", "distance"), [(12, 8, 0.0029), (12, 11, 0.0024), (3, 8, 0.011)]
)
def test_stated_distances_of_the_sum(terms, fraction, distance):
    params = GaussianParams(method="sum", terms=terms, fraction=fraction)
    assert ks_distance(params) == pytest.approx(distance, rel=0.03)


def test_counts_of_the_exclusive_or():
    """Two short LFSRs of the same making: over their joint period each of 2**m draws occurs
    2**m * A * B - A - B times, A = 2**(5 - m), B = 2**(4 - m), and 0 once more."""
    for m in (1, 2, 3):
        count = 31 * 15
        one, two = (draws(draw_generator(m, width=w, seed=1), m, count) for w in (5, 4))
        a, b = 1 << (5 - m), 1 << (4 - m)
        each = (1 << m) * a * b - a - b
        assert np.bincount(one ^ two).tolist() == [each + 1] + [each] * ((1 << m) - 1)


def test_generators_of_a_sum_are_coprime_and_enough():
    assert all(np.gcd(a, b) == 1 for a in WIDTHS for b in WIDTHS if a != b)
    for fraction in range(2, 14):
        for terms in (3, 12):
            params = GaussianParams(method="sum", terms=terms, fraction=fraction)
            assert sum(bits for _, bits in params.generators) == terms * fraction
            assert all(lfsr.period == (1 << lfsr.width) - 1 for lfsr, _ in params.generators)


CASES = [
    GaussianParams(seed=1),
    GaussianParams(seed=2, address_bits=8, fraction=8),
    GaussianParams(method="sum", fraction=8, seed=3),
    GaussianParams(method="sum", fraction=11, seed=4),
    GaussianParams(method="sum", fraction=8, terms=3, seed=5),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_samples_follow_the_law(params):
    """2**21 numbers: moments within 4.5 standard errors of the exact law's, no correlation up to
    8 draws apart of numbers or of squares, the law itself by chi-square, and the distance to the
    normal law by scipy no more than the exact law's and the sampling error."""
    count = 1 << 21
    z = GaussianModel(params).draws(count)
    values, p = law_of(params)
    mean, std, _, kurtosis = moments(values, p)
    x = (z - mean) / std
    error = 4.5 / np.sqrt(count)
    assert abs(x.mean()) < error
    assert abs((x**2).mean() - 1) < error * np.sqrt(2 + kurtosis)
    assert abs((x**3).mean()) < error * np.sqrt(15)
    assert abs((x**4).mean() - 3 - kurtosis) < error * np.sqrt(96)
    square = (x**2 - 1) / np.sqrt(2 + kurtosis)
    for lag in range(1, 9):
        assert abs((x[:-lag] * x[lag:]).mean()) < error, lag
        assert abs((square[:-lag] * square[lag:]).mean()) < error * 1.2, lag
    distance = stats.kstest(z / (1 << params.fraction), "norm").statistic
    assert distance < ks_distance(params) + 1.95 / np.sqrt(count)
    seen = np.bincount(np.searchsorted(values, z), minlength=len(values))
    often = p * count > 10
    chi = ((seen - p * count)[often] ** 2 / (p * count)[often]).sum()
    assert stats.chi2.sf(chi, often.sum()) > 1e-4
    assert abs(seen[~often].sum() - p[~often].sum() * count) < 5 * np.sqrt(
        p[~often].sum() * count + 1
    )


def test_numbers_depend_on_seed_entity_and_index_alone():
    """Any stretch is a stretch of the whole, far jumps included; seeds and entities differ."""
    for params in CASES:
        z = GaussianModel(params).draws(1000)
        assert (GaussianModel(params).draws(300, first=700) == z[700:]).all()
    far = GaussianModel(CASES[0])
    assert (far.draws(20, first=10**15)[5:] == far.draws(15, first=10**15 + 5)).all()
    many = [
        GaussianModel(GaussianParams(seed=seed, entity=entity)).draws(1 << 14)
        for seed in range(4)
        for entity in range(4)
    ]
    unrelated = np.corrcoef(many) - np.eye(16)
    assert abs(unrelated).max() < 4.5 / np.sqrt(1 << 14)


@pytest.mark.parametrize(
    "params",
    [
        *CASES[:1],
        *CASES[2:],
        GaussianParams(address_bits=4, fraction=1, seed=6),
        GaussianParams(method="sum", fraction=13, seed=7),
    ],
    ids=str,
)
def test_rtl(params):
    check(params, Gaussian, GaussianModel, length=10_000)
