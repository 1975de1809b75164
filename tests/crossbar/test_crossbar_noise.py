"""Rows of draws: the equations in Python's integers, the published engine, the law's moments."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from hdl.params.crossbar.noise import DRAW_SIGMA, MOST_COLUMNS, angles, state_of
from sim.golden.crossbar.noise import Draws, advance, column_draw
from tests.crossbar.kit_plain import row_of_draws


@pytest.mark.parametrize(("seed", "entity"), [(0, 0), (1, 0), (1, 1), (2**32 - 1, 2**30)])
@pytest.mark.parametrize("columns", [1, 3, 8, 63, 65, 128])
def test_draws_are_the_equations(seed, entity, columns):
    draws, state = Draws(seed, entity, columns), list(state_of(seed, entity))
    want = [row_of_draws(state, columns) for _ in range(20)]
    assert draws.rows(13).tolist() == want[:13], f"seed {seed}"
    assert draws.rows(7).tolist() == want[13:]
    assert draws.state.tolist() == state
    draws.restart()
    assert draws.rows(20).tolist() == want


def test_one_column_is_a_column_of_the_row():
    whole = Draws(5, 6, MOST_COLUMNS).rows(MOST_COLUMNS)
    state = np.array(state_of(5, 6), np.uint64)
    assert [column_draw(state, c) for c in range(MOST_COLUMNS)] == np.diagonal(whole).tolist()


def test_wrong_columns_are_refused():
    for columns in (0, 129):
        with pytest.raises(ValueError, match=rf"columns must be in 1\.\.128, not {columns}"):
            Draws(0, 0, columns)


def test_the_state_advances_as_published():
    """Sums of the words from state (1, 2): what the authors' xoroshiro128plus.c (version of 2018)
    prints, as recorded in the tests of rand_xoshiro, src/xoroshiro128plus.rs."""
    state, sums = (np.uint64(1), np.uint64(2)), []
    for _ in range(10):
        sums.append(sum(int(word) for word in state) % 2**64)
        state = tuple(np.uint64(word) for word in advance(*state))
    assert sums == [
        3, 412333834243, 2360170716294286339, 9295852285959843169, 2797080929874688578,
        6019711933173041966, 3076529664176959358, 3521761819100106140, 7493067640054542992,
        920801338098114767,
    ]  # fmt: skip


def masks(rows):
    """Which of the state's 128 bits each bit of each word is the parity of: two uint64 for each
    [row, column, i, bit of the byte]."""

    def rotl(bits, angle):
        return np.roll(bits, angle, axis=0)

    ones = np.uint64(1) << np.arange(64, dtype=np.uint64)
    s0, s1 = np.zeros((2, 64, 2), np.uint64)
    s0[:, 0], s1[:, 1] = ones, ones
    found = np.empty((rows, MOST_COLUMNS // 2, 64, 2), np.uint64)
    for row in found:
        for word in range(MOST_COLUMNS // 2):
            a, b, c = angles(word)
            row[word] = rotl(s0, a) ^ rotl(s1, b) ^ rotl(s0, c)
        t = s0 ^ s1
        shifted = np.concatenate([np.zeros((16, 2), np.uint64), t[:48]])
        s0, s1 = rotl(s0, 24) ^ t ^ shifted, rotl(t, 37)
    found = found.reshape(rows, MOST_COLUMNS // 8, 4, 8, 8, 2)
    return found.transpose(0, 1, 3, 2, 4, 5).reshape(rows, MOST_COLUMNS, 4, 8, 2)


def repeated(*sets):
    """How often a mask of these sets occurs again."""
    every = np.concatenate([s.reshape(-1, 2) for s in sets])
    every = every[np.lexsort((every[:, 0], every[:, 1]))]
    return int((every[1:] == every[:-1]).all(axis=1).sum())


def test_the_masks_are_those_of_the_draws():
    """By draws from states of a single bit, where each bit of a draw is one of its mask."""
    found = masks(1)[0]
    for bit in range(128):
        state = np.zeros(2, np.uint64)
        state[bit // 64] = np.uint64(1) << np.uint64(bit % 64)
        set_bits = (found[..., bit // 64] >> np.uint64(bit % 64)) & np.uint64(1)
        u = set_bits.astype(int) @ (1 << np.arange(8))
        z = [column_draw(state.copy(), c) for c in range(MOST_COLUMNS)]
        assert z == (u @ [1, -1, 1, -1]).tolist()


def test_all_bits_of_12_rows_differ():
    found = masks(12)
    assert repeated(found) == 0
    assert found.any(axis=-1).all()


def test_no_four_bits_of_two_draws_depend():
    """Exclusive ors of two bits of a draw differ from all others of 6 rows, of three bits from all
    bits of the row (what holds for a row holds for every row: the state's step is invertible)."""
    bits = masks(6).reshape(6, MOST_COLUMNS, 32, 2)
    i, j = np.triu_indices(32, 1)
    assert repeated(bits[:, :, i] ^ bits[:, :, j]) == 0
    i, j, k = np.array(list(combinations(range(32), 3))).T
    single = {tuple(mask) for mask in bits[0].reshape(-1, 2).tolist()}
    three = (bits[0][:, i] ^ bits[0][:, j] ^ bits[0][:, k]).reshape(-1, 2)
    assert not any(tuple(mask) in single for mask in three.tolist())


def law():
    """Values and probabilities of a sum of four uniform bytes, two of them negative."""
    uniform = np.full(256, 1 / 256)
    pair = np.convolve(uniform, uniform[::-1])
    return np.arange(-510, 511), np.convolve(pair, pair)


def law_distance():
    """Of the exact law to the normal one."""
    values, p = law()
    normal, above = stats.norm.cdf(values / DRAW_SIGMA), np.cumsum(p)
    return max(abs(above - normal).max(), abs(above - p - normal).max())


def test_the_exact_law():
    values, p = law()
    assert p @ values == pytest.approx(0, abs=1e-9)
    assert p @ values**2 == pytest.approx(21845)
    assert p @ values**4 / 21845**2 - 3 == pytest.approx(-0.3, abs=1e-4)
    assert law_distance() == pytest.approx(0.0084, abs=5e-5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_samples_follow_the_law(seed):
    """2**21 draws of one generator, within 4.5 standard errors."""
    z = Draws(seed, 0, MOST_COLUMNS).rows(1 << 14).astype(float)
    count, x = z.size, z.ravel() / DRAW_SIGMA
    error = 4.5 / np.sqrt(count)
    assert abs(x.mean()) < error
    assert abs((x**2).mean() - 1) < error * np.sqrt(2 - 0.3)
    assert abs((x**4).mean() - 2.7) < error * np.sqrt(96)
    assert stats.kstest(x, "norm").statistic < law_distance() + 1.95 / np.sqrt(count)
    p = law()[1]
    often = p * count > 10
    seen = np.bincount(z.astype(int).ravel() + 510, minlength=1021)
    chi = ((seen - p * count)[often] ** 2 / (p * count)[often]).sum()
    assert stats.chi2.sf(chi, often.sum()) > 1e-4, f"seed {seed}"


def largest_correlation(one, two):
    """Of columns of two arrays [draws, columns], not of a column with itself."""
    of = (one - one.mean(0)).T @ (two - two.mean(0)) / (one.std(0)[:, None] * two.std(0) * len(one))
    if one is two:
        np.fill_diagonal(of, 0)
    return abs(of).max()


@pytest.mark.parametrize("seed", [4, 5])
def test_draws_are_uncorrelated(seed):
    """All pairs of columns, up to 8 rows apart, of draws and of squares; other entities and seeds.

    5.5 standard errors: the largest of 300 000 correlations of independent numbers is about 4.6."""
    rows = 1 << 13
    bound = 5.5 / np.sqrt(rows)
    z = Draws(seed, 0, MOST_COLUMNS).rows(rows + 8).astype(float)
    for x in (z, z**2):
        for lag in range(9):
            one = x[:rows]
            assert largest_correlation(one, one if lag == 0 else x[lag : lag + rows]) < bound
    for other in (Draws(seed, 1, MOST_COLUMNS), Draws(seed + 1, 0, MOST_COLUMNS)):
        assert largest_correlation(z[:rows], other.rows(rows).astype(float)) < bound


@pytest.mark.parametrize("seed", [6, 7])
def test_sums_are_normal(seed):
    """Sums over 128 rows of a column and over 128 columns of a row have an excess kurtosis of
    -.3 / 128; bits that are parities of one state of 128 bits could show here."""
    z = Draws(seed, 0, MOST_COLUMNS).rows(1 << 16).astype(float)
    down = z.reshape(-1, 128, MOST_COLUMNS).sum(axis=1).ravel()
    across = z.sum(axis=1)
    for sums in (down, across):
        x = sums / (DRAW_SIGMA * np.sqrt(128))
        assert abs((x**2).mean() - 1) < 4.5 * np.sqrt(2 / x.size)
        assert abs((x**4).mean() - 3 + 0.3 / 128) < 4.5 * np.sqrt(96 / x.size)
        assert stats.kstest(x, "norm").pvalue > 1e-4, f"seed {seed}"
