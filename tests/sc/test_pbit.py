"""The p-bit: its odds are the logistic curve, to the stated error."""

import numpy as np
import pytest
from scipy.special import expit

from hdl.params.sc.pbit import PBitParams, SigmoidTable
from hdl.sc.pbit import PBit
from sim.golden.sc.packed import count
from sim.golden.sc.pbit import PBitModel, odds_against
from tests.sc.kit import check, random_inputs

TABLES = [
    SigmoidTable(),
    SigmoidTable(fraction=0, address_bits=3, random_bits=8),
    SigmoidTable(fraction=6, step_bits=2, address_bits=7, random_bits=16),
    SigmoidTable(fraction=5, step_bits=1, address_bits=4, random_bits=12),
    SigmoidTable(fraction=8, step_bits=0, address_bits=10, random_bits=32),
]


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (SigmoidTable, {"fraction": 13}, "fraction must be in 0..12, not 13"),
        (SigmoidTable, {"fraction": 3, "step_bits": 4}, "step_bits must be in 0..3, not 4"),
        (SigmoidTable, {"address_bits": 11}, "address_bits must be in 1..10, not 11"),
        (SigmoidTable, {"random_bits": 1}, "random_bits must be in 2..32, not 1"),
        (PBitParams, {"bits": 1}, "bits must be in 2..24, not 1"),
        (PBitParams, {"width": 15}, r"width must be at least random_bits \(16\), not 15"),
    ],
)
def test_wrong_parameters(kind, change, message):
    with pytest.raises(ValueError, match=message):
        kind(**change)


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_odds_are_the_logistic_curve(table):
    """For every current up to twice the table's end, and the bound is no more than is needed."""
    current = np.arange(-2 * table.end, 2 * table.end + 1)
    against = odds_against(table, current) / (1 << table.random_bits)
    up = np.where(current >= 0, 1 - against, against)
    error = np.abs(up - expit(2 * current / (1 << table.fraction)))
    assert error.max() <= table.error_bound * (1 + 1e-9)
    assert error.max() > table.error_bound / 4
    tanh = (1 + np.tanh(current / (1 << table.fraction))) / 2  # P(tanh(I) + U > 0)
    assert np.abs(up - tanh).max() <= table.error_bound * (1 + 1e-9)
    assert (up + up[::-1] == 1).all()
    assert (np.diff(up) >= 0).all()
    far = np.abs(current) >= table.end
    assert set(up[far]) == {0.0, 1.0}


def test_stated_errors():
    """The default is exact to 2**-17 up to its end, where P is 1 - 1.1e-7."""
    assert SigmoidTable().error_bound == pytest.approx(2.0**-17)
    assert SigmoidTable(address_bits=5).error_bound == pytest.approx(expit(-4))
    assert SigmoidTable(fraction=6, step_bits=2).error_bound == pytest.approx(2**-17 + 2**-6)


@pytest.mark.parametrize("step_bits", [0, 2])
def test_counts_over_a_period_are_exact(step_bits):
    """For every current: Q * 2**(width - k) draws against its sign."""
    table = SigmoidTable(fraction=3, step_bits=step_bits, address_bits=4, random_bits=7)
    params = PBitParams(bits=7, table=table, width=11, seed=3)
    period = (1 << 11) - 1
    current = np.arange(-64, 64)
    m = PBitModel(params).run(period, np.repeat(current[:, None], period, axis=1))["m"]
    against = np.where(current >= 0, period - count(m), count(m))
    assert (against == odds_against(table, current) << 4).all()


@pytest.mark.parametrize(
    ("params", "seed"),
    [
        (PBitParams(), 1),
        (PBitParams(bits=2, table=TABLES[1], width=9), 2),
        (PBitParams(bits=12, table=TABLES[2], seed=1), 3),
        (PBitParams(bits=12, table=TABLES[4], seed=2), 4),
    ],
    ids=str,
)
def test_rtl(params, seed):
    """Every current in small words, many in all; currents near 0 in every second run."""
    length = 3000
    inputs = random_inputs(params, 4, length, seed)
    inputs["current"][1::2] //= 8
    words = np.arange(1 << min(params.bits, 11)) - (1 << min(params.bits - 1, 10))
    inputs["current"][0, : len(words)] = words
    check(params, PBit, PBitModel, inputs, length=length, seed=seed)
