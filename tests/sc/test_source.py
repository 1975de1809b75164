# amaranth: UnusedElaboratable=no
"""Generators by name, and which of them are independent."""

import re
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdl.params.errors import UserError
from hdl.params.sc.counter import CounterParams
from hdl.params.sc.halton import BASES, HaltonParams
from hdl.params.sc.lfsr import LfsrParams, jump
from hdl.params.sc.sobol import ORDERS, SobolParams
from hdl.params.sc.source import correlated, parse_source, require_independent, source_text
from hdl.sc.source import make_source
from sim.golden.sc.source import sequence


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("lfsr", LfsrParams(width=8)),
        ("lfsr:seed=5,rotate=4,invert", LfsrParams(width=8, seed=5, rotate=4, invert=True)),
        ("sobol:1", SobolParams(width=8)),
        ("sobol:2,order=natural", SobolParams(width=8, dimension=2, order="natural")),
        ("vdc", SobolParams(width=8, order="natural")),
        ("vdc:shift=3", SobolParams(width=8, order="natural", shift=3)),
        ("halton:5,digits=2", HaltonParams(width=8, base=5, digits=2)),
        ("counter", CounterParams(width=8)),
        ("counter:divide=8,invert", CounterParams(width=8, divide=8, invert=True)),
    ],
)
def test_text_and_parameters(text, params):
    assert parse_source(text, 8) == params
    assert source_text(params) == text
    assert make_source(params).params == params
    assert len(sequence(params, 5)) == 5


_LFSRS = st.builds(
    LfsrParams,
    width=st.just(8),
    seed=st.integers(1, 255),
    steps=st.integers(1, 8),
    invert=st.booleans(),
    rotate=st.integers(0, 7),
)
_SOURCES = st.one_of(
    _LFSRS,
    st.builds(
        SobolParams,
        width=st.just(8),
        dimension=st.integers(1, 16),
        order=st.sampled_from(ORDERS),
        shift=st.integers(0, 255),
        invert=st.booleans(),
    ),
    st.builds(
        HaltonParams,
        width=st.just(8),
        base=st.sampled_from(BASES),
        digits=st.integers(0, 5),
        invert=st.booleans(),
    ),
    st.builds(CounterParams, width=st.just(8), divide=st.integers(0, 32), invert=st.booleans()),
)


@given(_SOURCES)
def test_every_source_has_a_text(params):
    assert parse_source(source_text(params), params.width) == params


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lsfr", "source 'lsfr': no generator 'lsfr': did you mean 'lfsr'?"),
        ("", "source '': no generator '': there is lfsr, sobol, vdc, halton, counter"),
        ("sobol", "source 'sobol': sobol needs its dimension, as in sobol:3"),
        ("sobol:order=gray", "sobol needs its dimension, as in sobol:3"),
        ("sobol:17", "source 'sobol:17': dimension must be in 1..16, not 17"),
        ("sobol:2,order=grey", "order must be 'gray' or 'natural', not 'grey'"),
        ("halton:4", "source 'halton:4': base must be a prime up to 31, not 4"),
        ("lfsr:sed=3", "lfsr has no option 'sed': did you mean 'seed'?"),
        ("lfsr:width=9", "lfsr has no option 'width': there is seed, steps, invert, rotate"),
        ("vdc:order=gray", "vdc has no option 'order': there is shift, invert"),
        ("lfsr:seed=3,seed=4", "seed is given twice: leave one out"),
        ("lfsr:seed=x", "source 'lfsr:seed=x': seed needs a number, as in seed=1"),
        ("lfsr:seed", "seed needs a number, as in seed=1"),
        ("lfsr:seed=256", "source 'lfsr:seed=256': seed must be in 1..255, not 256"),
        ("lfsr:invert=1", "invert takes no value: write 'invert' alone"),
    ],
)
def test_wrong_texts(text, message):
    with pytest.raises(UserError) as error:
        parse_source(text, 8)
    assert message in str(error.value)


def _rms(x: np.ndarray, y: np.ndarray, width: int) -> float:
    """Of the AND product over all pairs of thresholds."""
    top = 1 << width
    grid = np.zeros((top, top))
    np.add.at(grid, (x, y), 1 / len(x))
    ones = grid.cumsum(axis=0).cumsum(axis=1)
    p = np.arange(1, top + 1) / top
    return float(np.sqrt(np.mean((ones - np.outer(p, p)) ** 2)))


def test_error_of_overlapping_lfsrs():
    """The figures in the docstring of hdl/params/sc/source.py."""
    for width, (rotate, error) in product((8, 10), ((0, 0.104), (1, 0.054), (2, 0.026))):
        a = sequence(LfsrParams(width=width), (1 << width) - 1)
        for turned, invert in product((rotate, -rotate % width), (False, True)):
            b = sequence(LfsrParams(width=width, rotate=turned, invert=invert), len(a))
            assert _rms(a, b, width) == pytest.approx(error, rel=0.08), (width, turned, invert)


def test_all_lfsrs_of_8_bits():
    """Every seed, 5 rotations against one: refused ones are bad, allowed ones as good as i.i.d."""
    a = LfsrParams(width=8, seed=77, rotate=3)
    x = sequence(a, a.period)
    random = 0.375 / np.sqrt(1 << 8)
    refused = []
    for seed, rotate in product(range(1, 256), range(1, 6)):
        b = LfsrParams(width=8, seed=seed, rotate=rotate)
        error = _rms(x, sequence(b, b.period), 8)
        if correlated(a, b):
            refused.append((seed, rotate))
            assert error > 0.8 * random, (seed, rotate, error)
        else:
            assert error < random, (seed, rotate, error)
    assert len(refused) / (255 * 5) == pytest.approx(1 / 17, rel=0.05)
    for ahead in range(-2, 3):
        assert (jump(a, ahead), a.rotate) in refused
        assert (a.seed, a.rotate + ahead) in refused
        assert (jump(a, -ahead), a.rotate + ahead) in refused


@pytest.mark.parametrize("width", [6, 8])
def test_allowed_pairs_are_as_good_as_random(width):
    """Sobol's dimensions in both orders, the counter, LFSRs: over 2**width cycles."""
    texts = [f"sobol:{d}" for d in range(1, 17)]
    texts += [f"sobol:{d},order=natural" for d in (1, 2, 3, 9)]
    texts += ["counter", "lfsr", "lfsr:invert", "lfsr:seed=13"]
    random = 0.375 / np.sqrt(1 << width)
    refused = 0
    sources = [parse_source(text, width) for text in texts]
    numbers = [sequence(source, 1 << width) for source in sources]
    for (a, x), (b, y) in combinations(zip(sources, numbers, strict=True), 2):
        error, reason = _rms(x, y, width), correlated(a, b)
        if reason is None:
            assert error < 1.05 * random, (source_text(a), source_text(b), error)
        elif not reason.startswith("both are"):
            refused += 1
            assert error > 0.85 * random, (source_text(a), source_text(b), error)
    assert refused > 5


_NEAR = r"the top [12] bits of one and [12] of the other are dependent"


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ("lfsr", "lfsr", "their top bits are the same sequence"),
        ("lfsr", "lfsr:invert", "their top bits are the same sequence"),
        ("lfsr", "lfsr:rotate=1", _NEAR),
        ("lfsr", "lfsr:rotate=7", _NEAR),
        ("lfsr:seed=1", "lfsr:seed=2", _NEAR),
        ("lfsr:seed=2", "lfsr:seed=1", _NEAR),
        ("lfsr:rotate=1", "lfsr:seed=2", "their top bits are the same sequence"),
        ("lfsr", "lfsr:rotate=4", None),
        ("lfsr", "lfsr:seed=200", None),
        ("lfsr", "lfsr:steps=3", None),
        ("sobol:2", "sobol:2,shift=9,order=natural", "both are dimension 2 of Sobol's sequence"),
        ("sobol:1", "vdc", "both are Van der Corput's sequence"),
        ("halton:2", "vdc:invert", "both are Van der Corput's sequence"),
        ("halton:3", "halton:3,digits=2", "both are base 3 of Halton's sequence"),
        ("sobol:3", "halton:3", None),
        ("halton:3", "halton:5", None),
        ("sobol:1", "sobol:2", None),
        ("vdc", "sobol:2,order=natural", None),
        ("vdc", "sobol:2", "their top bits are the same sequence"),
        ("halton:2", "sobol:2", "their top bits are the same sequence"),
        ("sobol:8", "sobol:16", r"the top . bits of one and . of the other are dependent"),
        ("vdc", "counter", None),
        ("counter", "counter:invert", "they count together"),
        ("counter:divide=3", "counter", "they count together"),
        ("counter:divide=8", "counter", None),
        ("counter", "counter:divide=8", None),
        ("lfsr", "sobol:1", None),
        ("lfsr", "counter", None),
    ],
)
def test_correlated(a, b, reason):
    a, b = parse_source(a, 8), parse_source(b, 8)
    for found in (correlated(a, b), correlated(b, a)):
        assert found == reason or (reason and re.fullmatch(reason, found))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            "lfsr:seed=5,rotate=6",
            "lfsr:seed=5,rotate=6,invert",
            "Multiply needs independent sources, but x (lfsr:seed=5,rotate=6) and "
            "y (lfsr:seed=5,rotate=6,invert) are correlated: their top bits are the same "
            "sequence; give y another seed, or 5 and rotate=2",
        ),
        ("counter", "counter", "they count together; give y vdc, or counter:divide=8"),
        ("sobol:4", "sobol:4", "give y another dimension or base"),
    ],
)
def test_require_independent(a, b, message):
    a, b = parse_source(a, 8), parse_source(b, 8)
    with pytest.raises(ValueError, match=re.escape(message)):
        require_independent("Multiply", "x", a, "y", b)
    require_independent("Multiply", "x", a, "y", LfsrParams(width=8, seed=200))


def test_the_advice_helps():
    for width in range(3, 33):
        a = LfsrParams(width=width, seed=5, rotate=width - 1)
        advice = LfsrParams(width=width, seed=5, rotate=(a.rotate + width // 2) % width)
        require_independent("unit", "x", a, "y", advice)
