"""The array's twin: plain Python from the equations, closed forms, statistics."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from hdl.params.crossbar.array import ArrayMemory, ArrayParams, Pulse, ReadRange
from hdl.params.crossbar.device import ENTRIES, Age, DeviceParams
from hdl.params.crossbar.noise import DRAW_SIGMA
from sim.golden.crossbar.array import ArrayModel
from tests.crossbar.kit_plain import PlainArray


def random_device(rng, bits, kind):
    def table(low, high):
        return tuple(rng.integers(low, high, ENTRIES).tolist())

    return DeviceParams(
        cell_bits=bits, kind=kind, write_noise=table(0, 4096), set_step=table(-30, 200),
        set_noise=table(0, 4096), reset_level=5, reset_noise=900, drift_mean=table(0, 512),
        drift_sigma=table(0, 4096), read_noise=table(0, 2048),
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("bits", "kind", "shape", "banks", "converters"),
    [
        (8, "write", (1, 1), (1, 1), 1),
        (10, "pulse", (20, 13), (2, 2), 3),
        (12, "write", (3, 65), (2, 1), 65),
        (9, "pulse", (2, 128), (1, 2), 8),
        (11, "write", (33, 64), (1, 1), 5),
    ],
)
def test_any_work_follows_the_equations(seed, bits, kind, shape, banks, converters):
    """Random pulses, reads, ageing, restarts on random devices; every state is compared."""
    rng = np.random.default_rng([seed, bits])
    p = ArrayParams(
        device=random_device(rng, bits, kind), rows=shape[0], columns=shape[1], tiles=banks[0],
        blocks=banks[1], epochs=2, seed=seed, first_entity=3, adc_bits=8, converters=converters,
    )  # fmt: skip
    ages = [Age(fresh=900), Age(log_age=3000, fresh=1500, slow=700)]
    twin, plain = ArrayModel(p), PlainArray(SimpleNamespace(array=p), ages)  # type: ignore
    plain.charge = [0] * p.columns
    top = (1 << bits) - 1
    for epoch, age in enumerate(ages):
        for k, value in enumerate((age.log_age, age.fresh, age.slow)):
            twin.configure(ArrayMemory.AGE, 4 * epoch + k, value)
    for n, cell in enumerate(plain.cells.values()):
        cell[:4] = (int(rng.integers(limit)) for limit in (top + 1, 512, 2, 2))
        cell[3] &= int(rng.random() < 0.2)
        g_p, nu, epoch, stuck = cell[:4]
        twin.configure(
            ArrayMemory.CELL, n, g_p | nu << bits | epoch << (bits + 9) | stuck << (bits + 10)
        )
    for bank in range(p.banks):
        plain.reference[bank] = rng.integers(0, top, p.columns).tolist()
        for c, value in enumerate(plain.reference[bank]):
            twin.configure(ArrayMemory.REFERENCE, bank * p.columns + c, value)

    def check():
        cells = np.array(list(plain.cells.values()))
        names = ("g_p", "nu", "epoch", "stuck", "h", "s")
        for name, column in zip(names, cells.T, strict=True):
            assert (getattr(twin, name).ravel() == column).all(), f"{name}, seed {seed}"
        assert twin.states.tolist() == plain.states

    twin.age(), plain.age()
    check()
    for n in range(40):
        bank, row, column = (int(rng.integers(k)) for k in (p.banks, p.rows, p.columns))
        if n % 2:
            pulse = (int(rng.integers(3)), int(rng.integers(top + 1)), int(rng.integers(2)))
            plain.pulse(bank, row, column, *pulse)
            twin.pulse(bank, row, column, Pulse(pulse[0]), *pulse[1:])
            continue
        drive = rng.random(p.rows) < rng.random()
        how = {"hold": bool(rng.integers(2)), "sense": bool(rng.integers(2))}
        plain.read(bank, np.flatnonzero(drive).tolist(), **how)
        assert twin.read(bank, drive, **how).tolist() == plain.charge, f"seed {seed}, read {n}"
        twin.sample()
        for kind in ReadRange:
            codes = [twin.convert(c, kind) for c in range(p.columns)]
            assert codes == [plain.code(c, kind) for c in range(p.columns)]
        if n == 20:
            twin.restart(), plain.restart()
    check()
    twin.age(), plain.age()
    check()


def array(rows, columns=64, *, device=None, read_noise=0, **options):
    bits = options.pop("cell_bits", 10)
    device = device or DeviceParams(cell_bits=bits, read_noise=(read_noise,) * ENTRIES)
    return ArrayModel(ArrayParams(device=device, rows=rows, columns=columns, **options))


def test_a_full_array_of_the_largest_devices_adds_up():
    """Sums of 16 bits on the way don't overflow: 1024 rows of h = 4095, s = 255."""
    model = array(1024, 128, cell_bits=12)
    model.h[:], model.s[:] = 4095, 255
    plain = array(1024, 128, cell_bits=12)
    whole = model.read(0, np.ones(1024))
    plain.h[:], plain.s[:] = 4095, 255
    alone = sum(plain.read(0, np.arange(1024) == r) for r in range(1024))
    assert (whole == alone).all()
    assert whole.mean() == pytest.approx(1024 * 4095, rel=1e-3)


@pytest.mark.parametrize("seed", [1, 2])
def test_reads_have_the_mean_and_deviation_of_the_tables(seed):
    """h, and s * 147.8 / 2**F; a device far below 0 reads half a normal distribution."""
    model = array(3, 4, seed=seed)
    model.h[0, :, 0], model.s[0, :, 0] = (500, 0, 300), (60, 90, 0)
    count = 20_000
    one = np.eye(3)
    reads = np.array([[model.read(0, one[r])[0] for _ in range(count)] for r in range(3)])
    sigma = np.array([60, 90]) * DRAW_SIGMA / 2**10
    error = 4.5 / np.sqrt(count)
    assert abs(reads[0].mean() - 500) < error * sigma[0]
    assert reads[0].std() == pytest.approx(sigma[0], rel=error)
    assert reads[1].mean() == pytest.approx(sigma[1] / np.sqrt(2 * np.pi), rel=1.5 * error)
    assert (reads[2] == 300).all()


@pytest.mark.parametrize("seed", [3, 4])
def test_a_sensed_read_is_a_threshold_on_noise(seed):
    """P(v > reference) is that of a normal number, but for the distance of the draws' law."""
    model = array(1, 64, seed=seed, cell_bits=12)
    model.h[:], model.s[:] = 2000, 200
    sigma = 200 * DRAW_SIGMA / 2**8
    model.reference[0] = 2000 + np.linspace(-2, 2, 64) * sigma
    count = 20_000
    ones = sum(model.read(0, np.ones(1), sense=True) for _ in range(count)) / count
    want = stats.norm.sf((model.reference[0] + 0.5 - 2000) / sigma)
    assert abs(ones - want).max() < 0.009 + 4.5 * 0.5 / np.sqrt(count)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_drift_is_a_power_of_time(bits):
    """g * 2**(-nu * log_age): by floating point, within what table and rounding of nu cost."""
    rng = np.random.default_rng(bits)
    model = array(64, 128, cell_bits=bits)
    model.g_p[:] = rng.integers(0, 1 << bits, model.g_p.shape)
    model.nu[:] = rng.integers(0, 512, model.nu.shape)
    for log_age in (0, 256, 1000, 8191):
        model.set_age(0, Age(log_age=log_age))
        model.age()
        e = (model.nu.astype(float) * log_age) // 1024
        want = model.g_p * 2.0 ** (-e / 256)
        assert abs(model.h - want).max() <= 0.5 + 2.0**bits * 2.0**-13
        assert (model.s == 0).all()
        if log_age == 0:
            assert (model.h == model.g_p).all()


def test_ageing_does_not_move_the_generators_and_may_be_repeated():
    model = array(8, read_noise=200, seed=5, blocks=2)
    model.g_p[:] = 400
    model.set_age(0, Age(log_age=500, fresh=300, slow=600))
    model.age()
    first = model.h.copy(), [model.read(bank, np.ones(8)).tolist() for bank in (0, 1)]
    model.age()
    again = model.h.copy(), [model.read(bank, np.ones(8)).tolist() for bank in (0, 1)]
    assert (first[0] == again[0]).all()
    assert first[1] == again[1]
    assert first[1][0] != first[1][1]
    model.restart()
    assert [model.read(bank, np.ones(8)).tolist() for bank in (0, 1)] == first[1]
    spread = model.h.std() / model.h.mean()  # table / 2**12 * slow / 443.4
    assert spread == pytest.approx(200 / 4096 * 600 / 443.4, rel=0.15)


@pytest.mark.parametrize("seed", [6, 7])
def test_pulses_have_the_laws_of_the_tables(seed):
    """WRITE: level and its noise; SET adds steps; RESET begins again; nu from its own table."""
    for kind in ("write", "pulse"):
        device = DeviceParams(
            cell_bits=12, kind=kind, write_noise=(300,) * ENTRIES, set_step=(50,) * ENTRIES,
            set_noise=(40,) * ENTRIES, reset_level=600, reset_noise=120,
            drift_mean=(200,) * ENTRIES, drift_sigma=(250,) * ENTRIES,
        )  # fmt: skip
        model = array(64, 64, device=device, seed=seed)
        everywhere = [(0, r, c) for r in range(64) for c in range(64)]
        error, unit = 4.5 / 64, DRAW_SIGMA / 2**8

        def check(mean, deviation, model=model, error=error):
            assert abs(model.g_p.mean() - mean) < error * deviation
            assert model.g_p.std() == pytest.approx(deviation, rel=error)

        if kind == "write":
            for at in everywhere:
                model.pulse(*at, Pulse.WRITE, 2000)
            check(2000, 300 * unit)
        else:
            for at in everywhere:
                model.pulse(*at, Pulse.RESET)
            check(600, 120 * unit)
            for _ in range(10):
                for at in everywhere:
                    model.pulse(*at, Pulse.SET)
            check(1100, unit * np.hypot(120, 40 * np.sqrt(10)))
        assert model.nu.mean() == pytest.approx(200, abs=error * 36)
        assert model.nu.std() == pytest.approx(250 * DRAW_SIGMA / 2**10, rel=error)
        assert (model.h == model.g_p).all()


def test_a_stuck_device_keeps_everything_but_draws():
    model, free = (array(2, 2, read_noise=500, epochs=2, seed=8) for _ in range(2))
    model.stuck[0, 1, 1] = 1
    model.g_p[:] = free.g_p[:] = 77
    for m in (model, free):
        m.age()
        m.pulse(0, 1, 1, Pulse.WRITE, 300, 1)
    assert (model.g_p == 77).all()
    assert not model.epoch.any()
    assert free.epoch[0, 1, 1] == 1
    assert (model.states == free.states).all()


def test_first_states_and_converters_may_be_configured():
    model, other = array(4, 8, seed=9, read_noise=800), array(4, 8, seed=10, read_noise=800)
    for m in (model, other):
        m.h[:], m.s[:] = 300, 100
    for word in range(2):
        model.configure(ArrayMemory.STATE, word, int(other.first[0, word]))
    model.restart()
    assert (model.read(0, np.ones(4)) == other.read(0, np.ones(4))).all()
    model.configure(ArrayMemory.CONVERTER, 0, 0)  # MVM: gain 0 and offset -3 or 5
    for offset, code in ((5 << 16, 5), ((1 << 26) - (3 << 16), 0)):
        model.configure(ArrayMemory.CONVERTER, 1, offset)
        model.sample()
        assert model.convert(7, ReadRange.MVM) == code


@pytest.mark.parametrize(("rows", "cell_bits", "adc_bits"), [(1, 8, 8), (100, 10, 10), (64, 12, 6)])
def test_default_gains_fit_a_full_column_and_a_full_device(rows, cell_bits, adc_bits):
    model = array(rows, 1, cell_bits=cell_bits, adc_bits=adc_bits)
    model.h[:] = (1 << (cell_bits - 1)) - 1
    model.read(0, np.ones(rows))
    model.sample()
    half = 1 << (adc_bits - 1)
    assert half - 1 <= model.convert(0, ReadRange.MVM) < 1 << adc_bits
    model.h[:] = (1 << cell_bits) - 1
    model.read(0, np.arange(rows) == 0)
    model.sample()
    assert model.convert(0, ReadRange.VERIFY) == (1 << adc_bits) - 1
