"""uMAC."""

import numpy as np
import pytest

from hdl.params.sc.umac import UMacParams
from hdl.sc.umac import UMac
from sim.golden.sc.packed import count, pack
from sim.golden.sc.umac import UMacModel
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 0}, "inputs must be in 1..256, not 0"),
        ({"width": 17}, "width must be in 1..16, not 17"),
        ({"scale": 17}, "scale must be in 1..16, not 17"),
        ({"output": "word"}, "output must be 'stream' or 'count', not 'word'"),
        ({"output": "count", "bits": 4}, "bits must be in 5..62, not 4"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        UMacParams(**({"inputs": 16, "width": 8} | change))


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
def test_dot_product(encoding):
    """16 products over a period of 8 bits, the same source for all inputs: the mean's rms error."""
    rng = np.random.default_rng(4)
    n, runs = 16, 100
    half = 128 if encoding == "bipolar" else 0
    b = rng.integers(0, 257, (n, runs)) - half
    bits = rng.permuted(np.arange(256) < rng.integers(0, 257, (n, runs, 1)), axis=2)
    x = bits.mean(axis=2)
    inputs = {f"x{k}": pack(bits[k]) for k in range(n)} | {f"b{k}": b[k] for k in range(n)}
    value = 2 * x - 1 if half else x
    exact = (value * b / (256 - half)).mean(axis=0)

    counted = UMacModel(
        UMacParams(inputs=n, width=8, encoding=encoding, output="count")
    ).run(256, **inputs)["count"][:, -1]  # fmt: skip
    error = counted / 256 / n - exact
    assert np.sqrt((error**2).mean()) < 0.0025, np.sqrt((error**2).mean())
    y = UMacModel(UMacParams(inputs=n, width=8, encoding=encoding)).run(256, **inputs)["y"]
    mean = count(y) / 256
    error = (2 * mean - 1 if half else mean) - exact
    assert np.sqrt((error**2).mean()) < 0.006, np.sqrt((error**2).mean())


@pytest.mark.parametrize(
    ("inputs", "width", "encoding", "output", "scale"),
    [
        (1, 3, "bipolar", "count", 0),
        (3, 4, "bipolar", "stream", 2),
        (4, 5, "unipolar", "stream", 1),
        (9, 4, "bipolar", "stream", 3),
        (16, 8, "unipolar", "stream", 0),
    ],
)
def test_rtl(inputs, width, encoding, output, scale):
    params = UMacParams(
        inputs=inputs, width=width, encoding=encoding, output=output, scale=scale, bits=12
    )
    given = random_inputs(params, runs=20, length=100, seed=inputs)
    check(params, UMac, UMacModel, given, length=100)
