"""Input sums of crossbar populations: plain Python from the equations, closed forms, statistics."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from hdl.params.crossbar.array import ArrayParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import ENTRIES, Age, DeviceParams
from hdl.params.crossbar.noise import DRAW_SIGMA
from sim.golden.crossbar.product import Part, input_sums, plan
from tests.crossbar.kit_plain import COUNT, MVM, PlainArray


class PlainSums:
    """Input sums of one population, word for word hdl/params/crossbar/dendrites.py.

    Members
    -------
    rows, codes : rows of banks that were read, codes that were converted.
    """

    def __init__(self, crossbar, arrays, size, sources):
        c = self.crossbar = crossbar
        self.size, self.data = size, {k: v.tolist() for k, v in arrays.items()}
        self.blocks, self.tiles = -(-size // c.neurons), max(-(-sources // c.rows), 1)
        spare = (0,) * c.converters
        converters = {k: (tuple(self.data.get(k, spare)), spare) for k in ("gain", "offset")}
        params = ArrayParams(
            device=DeviceParams(cell_bits=c.cell_bits, read_noise=tuple(self.data["read_noise"])),
            rows=c.rows, columns=c.columns, tiles=self.tiles, blocks=self.blocks, seed=c.seed,
            train=4095, adc_bits=c.adc_bits, converters=c.converters, **converters,
        )  # fmt: skip
        names = ("log_age", "fresh", "slow")
        age = Age(**dict(zip(names, self.data["age"], strict=True)))
        self.array = PlainArray(SimpleNamespace(array=params), [age])  # type: ignore[arg-type]
        cells = np.stack([arrays["conductance"], arrays["exponent"]], -1).reshape(-1, 2).tolist()
        for cell, programmed in zip(self.array.cells.values(), cells, strict=True):
            cell[:2] = programmed
        if "reference" in arrays:
            self.array.reference = arrays["reference"].reshape(-1, c.columns).tolist()
        self.array.age()
        self.rows = self.codes = 0

    def clear(self):
        self.array.restart()

    def sums(self, x):
        """Of all neurons, for values x of all sources."""
        acc = [0] * self.size
        for b in range(self.blocks):
            for t in range(self.tiles):
                for sign in (1, -1) if self.crossbar.value_bits else (1,):
                    self._reads(b, t, sign, x, acc)
        half = 2 ** (self.crossbar.fraction - 1)
        return [(total + half) >> self.crossbar.fraction for total in acc]

    def _reads(self, b, t, sign, x, acc):
        c, sense = self.crossbar, self.crossbar.sampling != "none"
        tile = [sign * int(value) for value in x[t * c.rows : (t + 1) * c.rows]]
        bank, p = b * self.tiles + t, c.value_bits
        if c.input == "serial":
            for k in range(max(p, 1)):
                driven = [r for r, value in enumerate(tile) if value > 0 and value >> k & 1]
                if driven:
                    self.rows += len(driven)
                    self.array.read(bank, driven, sense=sense)
                    self._convert(b, t, sign * 2**k, len(driven), acc)
            return
        total = 0
        for u in range(max(2**p, 2) - 1):
            driven = [r for r, value in enumerate(tile) if value > 0 and value > u]
            if not driven:
                break
            total += len(driven)
            self.array.read(bank, driven, hold=u > 0, sense=sense)
        if total:
            self.rows += total
            self._convert(b, t, sign, total, acc)

    def _convert(self, b, t, scale, driven, acc):
        c = self.crossbar
        kind = MVM if c.sampling == "none" else COUNT
        for i in range(b * c.neurons, min((b + 1) * c.neurons, self.size)):
            n = i % c.neurons
            columns = self.data["column"][b][n * c.width : (n + 1) * c.width]
            code = [self.array.code(column, kind) for column in columns]
            self.codes += len(code)
            d = sum(code[0::2]) - sum(code[1::2])
            if c.sampling == "binary":
                d = 2 * code[0] - driven
            acc[i] += scale * self.data["factor"][b][t][n] * d


def random_data(rng, c, size, sources):
    """Arrays of a population, codes of which are neither all 0 nor all clipped."""
    data = {}
    for name, (shape, low, high) in c.data(size, sources).items():
        data[name] = rng.integers(low, high + 1, shape)
    places = c.neurons * c.width
    blocks = c.blocks(size)
    data["column"] = np.array([rng.permutation(c.columns)[:places] for _ in range(blocks)])
    data["age"] = rng.integers(0, 2000, 3)
    if c.sampling == "none":
        gain = (1 << (16 + c.adc_bits)) // (c.rows << (c.cell_bits - 1)) + 1
        data["gain"] = np.minimum(rng.integers(gain, 3 * gain, c.converters), (1 << 18) - 1)
        data["offset"] = rng.integers(-1 << 18, 1 << 18, c.converters)
    else:
        data["reference"] = data["reference"] // 2
    return data


def run(c, data, size, sources, steps):
    """Sums [steps, size] for values [steps, sources], and what was read and converted."""
    made = plan([Part(c, data, size, sources)])
    states, out = made.states.copy(), np.empty((len(steps), size), np.int64)
    read = [0, 0]
    for x, acc in zip(steps, out, strict=True):
        rows, codes = input_sums(made, 0, x.astype(np.int64), states, acc)
        read = [read[0] + rows, read[1] + codes]
    return out, read


@given(
    seed=st.integers(0, 2**32 - 1),
    sampling=st.sampled_from(["none", "none", "binary", "ternary"]),
    kind=st.sampled_from(["serial", "width"]),
    value_bits=st.sampled_from([0, 0, 1, 2, 4]),
    shape=st.sampled_from([(1, 2), (3, 5), (7, 4), (4, 13), (2, 66)]),
    size=st.integers(1, 9),
    sources=st.integers(0, 15),
    cell_bits=st.integers(8, 12),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_sums_follow_the_equations(
    seed, sampling, kind, value_bits, shape, size, sources, cell_bits
):
    rng = np.random.default_rng(seed)
    rows, columns = shape
    c = Crossbar(
        rows=rows, columns=columns, sampling=sampling, input=kind, value_bits=value_bits,
        devices=1 + int(rng.integers(2)) if sampling == "none" and columns >= 4 else 1,
        spares=int(rng.integers(2)) if columns > 4 else 0, cell_bits=cell_bits, seed=seed,
        adc_bits=int(rng.integers(1, 17)), converters=int(rng.integers(1, columns + 1)),
        fraction=int(rng.integers(1, 25)),
    )  # fmt: skip
    data = random_data(rng, c, size, sources)
    most = (1 << value_bits) - 1
    steps = (
        rng.integers(-most, most + 1, (4, sources)) if most else rng.integers(0, 2, (4, sources))
    )
    steps[1] = 0
    plain = PlainSums(c, data, size, sources)
    want = [plain.sums(x) for x in steps]
    found, read = run(c, data, size, sources, steps)
    assert found.tolist() == want, f"seed {seed}"
    assert read == [plain.rows, plain.codes]
    assert (found[1] == 0).all()


def weights_as_devices(rng, c, size, sources, most):
    """Random weights -most..most, [sources, size], as data of ideal devices of one pair each."""
    weights = rng.integers(-most, most + 1, (sources, size))
    blocks, tiles = c.blocks(size), c.tiles(sources)
    whole = np.zeros((tiles * c.rows, blocks * c.neurons), np.int64)
    whole[:sources, :size] = weights
    whole = whole.reshape(tiles, c.rows, blocks, c.neurons).transpose(2, 0, 1, 3)
    data = {
        "conductance": np.zeros((blocks, tiles, c.rows, c.columns), np.int64),
        "exponent": np.zeros((blocks, tiles, c.rows, c.columns), np.int64),
        "read_noise": np.zeros(ENTRIES, np.int64),
        "age": np.zeros(3, np.int64),
        "column": np.array([rng.permutation(c.columns)[: 2 * c.neurons] for _ in range(blocks)]),
        "factor": np.full((blocks, tiles, c.neurons), 1 << c.fraction),
        "gain": np.full(c.converters, 1 << 16),
        "offset": np.zeros(c.converters, np.int64),
    }
    for b, columns in enumerate(data["column"]):
        data["conductance"][b][..., columns[0::2]] = np.maximum(whole[b], 0)
        data["conductance"][b][..., columns[1::2]] = np.maximum(-whole[b], 0)
    return weights, data


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["serial", "width"])
@pytest.mark.parametrize("value_bits", [0, 3])
def test_ideal_devices_and_a_fine_converter_give_the_matrix_product(seed, kind, value_bits):
    """A code for each unit of conductance, no noise: W @ x exactly, on any tiling."""
    rng = np.random.default_rng(seed)
    for rows, columns, size, sources in ((30, 8, 10, 70), (64, 128, 70, 64), (1, 2, 3, 5)):
        c = Crossbar(
            rows=rows, columns=columns, value_bits=value_bits, input=kind, cell_bits=8,
            adc_bits=16, fraction=4, converters=columns // 2,
        )  # fmt: skip
        weights, data = weights_as_devices(rng, c, size, sources, 120)
        most = (1 << value_bits) - 1
        low, high = (-most, most + 1) if most else (0, 2)
        steps = rng.integers(low, high, (5, sources))
        if kind == "width":  # the whole train must fit a code
            steps = np.clip(steps, -3, 3)
        found, _ = run(c, data, size, sources, steps)
        assert (found == steps @ weights).all(), f"seed {seed}"


@pytest.mark.parametrize("seed", [3, 4])
def test_noisy_reads_have_the_mean_and_deviation_of_floats(seed):
    """Against numpy: sum of g * x with a normal number for each device and read, drifted."""
    rng = np.random.default_rng(seed)
    c = Crossbar(rows=40, columns=16, cell_bits=12, adc_bits=16, fraction=8, seed=seed)
    size, sources, steps = 8, 80, 4000
    weights, data = weights_as_devices(rng, c, size, sources, 1500)
    # Head-room for noise below: all devices stand 400 units high, which pairs take off again.
    data["conductance"] += 400
    data["read_noise"][:] = 100
    data["exponent"][:] = 51
    data["age"][:] = 1024, 700, 0  # log2(t / t0) = 4
    data["gain"][:] = 1 << 14
    x = rng.integers(0, 2, sources)
    found, _ = run(c, data, size, sources, np.tile(x, (steps, 1)))
    drift = 2.0 ** (-51 / 1024 * 4)
    want = drift * (x @ weights) / 4
    devices = data["conductance"][0][..., data["column"][0]].reshape(sources, size, 2)
    sigma = drift * 100 / 4096 * 700 / 443.4 * devices
    spread = np.sqrt((x[:, None, None] * sigma**2).sum(axis=(0, 2))) / 4
    assert abs(found.mean(0) - want).max() < 5 * spread.max() / np.sqrt(steps) + sources / 8
    assert found.std(0) == pytest.approx(spread, rel=0.08)
    lag = np.corrcoef(found[:-1].T, found[1:].T)
    assert abs(lag - np.eye(2 * size)).max() < 5.5 / np.sqrt(steps)


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize("sampling", ["binary", "ternary"])
def test_sampled_weights_have_their_probabilities(seed, sampling):
    """Counts are sums of Bernoulli numbers whose means the references say, drawn anew each time."""
    rng = np.random.default_rng(seed)
    c = Crossbar(rows=32, columns=8, sampling=sampling, cell_bits=12, fraction=4, seed=seed)
    size, sources, steps = c.neurons, 32, 4000
    data = random_data(rng, c, size, sources)
    data["conductance"][:] = 2000 + rng.integers(-80, 81, data["conductance"].shape)
    data["age"][:] = 0, 800, 0
    data["read_noise"][:] = 60
    data["reference"][:] = 2000
    data["factor"][:] = 1 << c.fraction
    g = data["conductance"][0, 0][:, data["column"][0]]
    s = np.minimum((g * ((60 * 800 + 256) >> 9) + 1024) >> 11, 255)
    p = stats.norm.sf((2000.5 - g) / (s * DRAW_SIGMA / 2**8))
    mean, variance = p.sum(0), (p * (1 - p)).sum(0)
    if sampling == "binary":
        mean, variance = 2 * mean - sources, 4 * variance
    else:
        mean, variance = mean[0::2] - mean[1::2], variance[0::2] + variance[1::2]
    found, _ = run(c, data, size, sources, np.ones((steps, sources)))
    assert abs(found.mean(0) - mean).max() < 5 * np.sqrt(variance.max() / steps) + 2 * 0.009 * 32
    assert found.var(0) == pytest.approx(variance, rel=0.12)


def test_blocks_and_seeds_draw_for_themselves():
    """Blocks of the same devices differ; so do seeds; a clear brings the same draws again."""
    rng = np.random.default_rng(7)
    c = Crossbar(rows=16, columns=4, fraction=8, adc_bits=14, seed=1)
    _, data = weights_as_devices(rng, c, 2 * c.neurons, 16, 400)
    data["read_noise"][:] = 800
    data["age"][:] = 0, 400, 0
    for name in ("conductance", "column"):
        data[name][1] = data[name][0]
    x = np.ones((6, 16))
    first, _ = run(c, data, 4, 16, x)
    again, _ = run(c, data, 4, 16, x)
    other, _ = run(Crossbar(rows=16, columns=4, fraction=8, adc_bits=14, seed=2), data, 4, 16, x)
    assert (first == again).all()
    assert (first[:, :2] != first[:, 2:]).any()
    assert (first != other).any()
    assert (first[0] != first[1]).any()
