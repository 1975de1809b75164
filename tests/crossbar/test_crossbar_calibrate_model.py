"""Products and calibration of the controller: as the equations; drift that is known."""

import numpy as np
import pytest

from hdl.params.crossbar.controller import Command, ControllerMemory, Status
from hdl.params.crossbar.device import Age, DeviceParams
from sim.device.integer import age, tables
from sim.device.table import find_device
from sim.golden.crossbar.controller import ControllerModel, ratio
from tests.crossbar.kit_controller import both, params, same

PCM = find_device("pcm")
PCM10 = tables(PCM, 10)
NOW, DAY = age(PCM, 0.0), age(PCM, 86400.0)

CASES = {
    "spikes": ({"rows": 1, "columns": 2}, {}),
    "spikes, width": ({"rows": 3, "columns": 5}, {"input": "width", "spares": 1}),
    "values": (
        {"rows": 5, "columns": 9, "tiles": 2, "blocks": 2, "converters": 3, "adc_bits": 8},
        {"value_bits": 4, "devices": 2},
    ),
    "trains": (
        {"rows": 3, "columns": 7, "blocks": 3},
        {"value_bits": 3, "input": "width", "devices": 3, "fraction": 1},
    ),
    "binary": ({"rows": 7, "columns": 3, "tiles": 3}, {"sampling": "binary", "value_bits": 2}),
    "binary trains": (
        {"rows": 4, "columns": 2}, {"sampling": "binary", "value_bits": 2, "input": "width"},
    ),
    "ternary": ({"rows": 6, "columns": 5}, {"sampling": "ternary", "fraction": 7}),
}  # fmt: skip


def configure_inputs(model: ControllerModel, values: list[int], bits: int) -> None:
    for row, value in enumerate(values):
        model.configure(ControllerMemory.INPUT, row, value & ((2 << bits) - 1))


@pytest.mark.parametrize("name", CASES)
def test_products_as_the_equations(name):
    """Random inputs, the extreme ones and none at all, on columns that have moved, with factors."""
    array, crossbar = CASES[name]
    seed = len(name)
    rng = np.random.default_rng(seed)
    p = params(PCM10, {"seed": seed} | array, crossbar)
    model, plain = both(p, [NOW], seed)
    a, x, bits = p.array, p.crossbar, p.crossbar.value_bits
    most = max((1 << bits) - 1, 1)
    least = -most if bits else 0
    for b in range(a.blocks):
        if p.places < a.columns:
            model.column[b, 0] = plain.map[b][0] = a.columns - 1
        for t in range(a.tiles):
            bank = b * a.tiles + t
            plain.array.reference[bank] = rng.integers(0, 1023, a.columns).tolist()
            for n in range(x.neurons):
                number = bank * x.neurons + n
                plain.factor[b, t, n] = int(rng.integers(1 << 16))
                model.configure(ControllerMemory.FACTOR, number, plain.factor[b, t, n])
    model.array.reference[:] = plain.array.reference
    inputs = [rng.integers(least, most + 1, a.rows).tolist() for _ in range(6)]
    for values in (*inputs, [0] * a.rows, [most] * a.rows, [least] * a.rows):
        plain.input = values
        configure_inputs(model, values, bits)
        for b in range(a.blocks):
            for t in range(a.tiles):
                found = model.run(Command.PRODUCT, block=b, tile=t)
                assert found == plain.product(b, t), (name, seed, values, b, t)
    same(model, plain, (name, seed))


@pytest.mark.parametrize("name", ["spikes", "values", "trains"])
def test_calibration_as_the_equations(name):
    """Reference, then after a day global and column factors; without a reference factors of 1."""
    array, crossbar = CASES[name]
    seed = len(name)
    p = params(PCM10, {"seed": seed} | array, crossbar, unit=1000)
    model, plain = both(p, [NOW], seed)

    def calibrate(mode: str, command: Command) -> None:
        for b in range(p.array.blocks):
            for t in range(p.array.tiles):
                found = model.run(command, block=b, tile=t)
                assert found == [plain.calibrate(b, t, mode)], (mode, seed, b, t)
                for n in range(p.crossbar.neurons):
                    factor = model.run(Command.FACTOR, block=b, tile=t, column=n)
                    assert factor == [(Status.DONE, plain.factor[b, t, n])]

    calibrate("column", Command.COLUMN)
    assert (model.factor == 1000).all()
    calibrate("reference", Command.REFERENCE)
    plain.array.ages[0] = DAY
    model.array.set_age(0, DAY)
    plain.array.age()
    model.run(Command.AGE)
    calibrate("global", Command.GLOBAL)
    assert (model.factor != 1000).all()
    assert all(len(set(row.tolist())) == 1 for bank in model.factor for row in bank)
    calibrate("column", Command.COLUMN)
    calibrate("reference", Command.REFERENCE)
    same(model, plain, (name, seed))


def test_ratios():
    """Rounded to nearest, halves up; what has vanished gives the largest factor."""
    reference = np.array([0, 0, 5, 3, 1, 65535, 100000])
    now = np.array([0, 7, 0, 2, 3, 1, 1])
    assert ratio(reference, now, 1).tolist() == [1, 1, 65535, 2, 0, 65535, 65535]
    assert ratio(reference, now, 4096).tolist() == [4096, 4096, 65535, 6144, 1365, 65535, 65535]


def drifting(nu: np.ndarray, log_age: int, seed: int = 1):
    """A controller of noiseless devices of 400 units that have drifted with these exponents
    [rows, columns]; references were taken before."""
    device = DeviceParams(cell_bits=12)
    rows, columns = nu.shape
    p = params(device, {"rows": rows, "columns": columns, "adc_bits": 12, "seed": seed,
               "gain": ((1 << 16,), (1 << 16,))}, {"fraction": 12})  # fmt: skip
    model = ControllerModel(p)
    model.array.g_p[0, :, ::2], model.array.g_p[0, :, 1::2] = 800, 400
    model.array.nu[0] = nu
    model.run(Command.AGE)
    model.run(Command.REFERENCE)
    model.array.set_age(0, Age(log_age=log_age))
    model.run(Command.AGE)
    return model


def test_factors_undo_a_drift_of_powers_of_two():
    """Exponents that halve column 0's neuron and quarter column 1's: column factors are 2 and 4,
    a global one is the ratio of the sums, 2 / (1/2 + 1/4); products come back as they were."""
    nu = np.repeat([[256, 256, 512 - 1, 511]], 3, axis=0)
    model = drifting(nu, 1024)
    model.input[:] = [1, 0, 1]
    lost = [value for _, value in model.run(Command.PRODUCT)]
    assert lost == pytest.approx([400, 200], abs=2)
    assert model.run(Command.COLUMN) == [(Status.DONE, pytest.approx(3 * (200 + 100), abs=3))]
    assert model.factor[0, 0].tolist() == pytest.approx([2 * 4096, 4 * 4096], rel=0.01)
    assert [v for _, v in model.run(Command.PRODUCT)] == pytest.approx([800, 800], abs=4)
    model.run(Command.GLOBAL)
    assert model.factor[0, 0].tolist() == pytest.approx([4096 * 8 / 3] * 2, rel=0.01)


def test_compensation_of_pcm_over_a_month():
    """256 rows of devices about half range: without compensation sums fall as the mean of
    (t / t_0)**-nu, nu 50 units of 2**-10 and .008 about that; factors restore the sums."""
    seconds = 30 * 86400.0
    p = params(tables(PCM, 12), {"rows": 256, "columns": 32, "adc_bits": 12, "seed": 4}, {})
    model = ControllerModel(p)
    rng = np.random.default_rng(4)
    model.target[0, 0::2, 0] = rng.integers(600, 1400, (16, 256))
    model.array.set_age(0, NOW)
    model.run(Command.AGE)
    model.run(Command.PROGRAM)
    model.run(Command.AGE)
    model.run(Command.REFERENCE)
    model.input[:] = 1
    before = np.array([value for _, value in model.run(Command.PRODUCT)])
    model.array.set_age(0, age(PCM, seconds))
    model.run(Command.AGE)
    lost = np.array([value for _, value in model.run(Command.PRODUCT)])
    log = np.log(seconds / 20 + 1)
    left = np.exp(-50 / 1024 * log + (0.008 * log) ** 2 / 2)
    assert lost.mean() / before.mean() == pytest.approx(left, rel=0.008)
    spread = {}
    for command in (Command.GLOBAL, Command.COLUMN):
        model.run(command)
        again = np.array([value for _, value in model.run(Command.PRODUCT)])
        assert again.mean() / before.mean() == pytest.approx(1, abs=0.01), command
        spread[command] = (again / before).std()
    assert max(spread.values()) < 0.02, spread
