"""The LFSR."""

import numpy as np
import pytest

from hdl.params.sc.lfsr import TAPS, LfsrParams, jump, seed_of
from hdl.sc.lfsr import Lfsr
from sim.golden.sc.lfsr import LfsrModel, states
from tests.sc.kit import check_many


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 2}, "width must be in 3..32, not 2"),
        ({"width": 33}, "width must be in 3..32, not 33"),
        ({"width": 8, "seed": 0}, "seed must be in 1..255, not 0"),
        ({"width": 8, "steps": 9}, "steps must be in 1..8, not 9"),
        ({"width": 8, "rotate": 8}, "rotate must be in 0..7, not 8"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        LfsrParams(**change)


@pytest.mark.parametrize("width", range(3, 17))
def test_period_and_counts(width):
    """Over a period every number but 0 occurs once: #(value <= a) = a."""
    value = states(width, TAPS[width], 1, (1 << width))
    assert value[0] == value[-1]
    assert (np.sort(value[:-1]) == np.arange(1, 1 << width)).all()


def _times(a: int, b: int, polynomial: int, width: int) -> int:
    product = 0
    while b:
        product ^= a if b & 1 else 0
        b >>= 1
        a <<= 1
        a ^= polynomial if a >> width else 0
    return product


def _power_of_x(n: int, polynomial: int, width: int) -> int:
    power, square = 1, 2
    while n:
        power = _times(power, square, polynomial, width) if n & 1 else power
        square = _times(square, square, polynomial, width)
        n >>= 1
    return power


def _prime_factors(n: int) -> set[int]:
    factors, p = set(), 2
    while p * p <= n:
        while n % p == 0:
            factors.add(p)
            n //= p
        p += 1
    return factors | ({n} if n > 1 else set())


@pytest.mark.parametrize("width", range(3, 33))
def test_polynomials_are_primitive(width):
    """x has order 2**width - 1 modulo each polynomial."""
    polynomial = 1 | sum(1 << tap for tap in TAPS[width])
    period = (1 << width) - 1
    assert _power_of_x(period, polynomial, width) == 1
    for prime in _prime_factors(period):
        assert _power_of_x(period // prime, polynomial, width) != 1


def test_seeds_are_spread():
    """Neighbouring seeds give states whose bits are half ones and unrelated."""
    seeds = np.array([[seed_of(s, e, 32) for e in range(8)] for s in range(64)])
    assert len(np.unique(seeds)) == seeds.size
    ones = np.bitwise_count(seeds.astype(np.uint64)).mean()
    assert abs(ones - 16) < 1
    change = np.bitwise_count((seeds[1:] ^ seeds[:-1]).astype(np.uint64)).mean()
    assert abs(change - 16) < 1
    assert all(1 <= seed_of(s, e, 3) <= 7 for s in range(20) for e in range(20))


@pytest.mark.parametrize("many", [False, True], ids=["one step", "many steps"])
def test_rtl(many):
    """Every width, steps of 1 and many, inverted and rotated outputs."""
    params = [
        LfsrParams(
            width=width,
            seed=seed_of(7, width, width) if many else 1,
            steps=min(16, width) if many else 1,
            invert=many,
            rotate=width // 2,
        )
        for width in range(3, 33)
    ]
    check_many([(p, Lfsr, LfsrModel) for p in params], length=300)


def test_period_and_jump():
    """Jumps are as long as many steps, and a period leads back."""
    for width in range(3, 33):
        for steps in (1, 2, 3, width):
            p = LfsrParams(width=width, seed=seed_of(5, steps, width), steps=steps)
            value = LfsrModel(p).run(300)["value"]
            assert [jump(p, n) for n in range(0, 300, 23)] == value[::23].tolist()
            assert jump(p, p.period) == p.seed
            assert all(jump(p, p.period // f) != p.seed for f in _prime_factors(p.period))
            back = LfsrParams(width=width, seed=jump(p, -10), steps=steps)
            assert LfsrModel(back).run(11)["value"][10] == p.seed
    assert LfsrParams(width=4, steps=3).period == 5
