"""The dot product by bit-streams."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.params.sc.dot import DATA_BITS, DotParams
from hdl.sc.dot import Dot
from hdl.sc.popcount import popcount, popcount_latency
from sim.golden.sc.dot import DotModel
from sim.golden.sc.packed import pack
from tests.kit_hdl import clocked, run
from tests.sc.kit import check


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": 0}, "lanes must be in 1..1024, not 0"),
        ({"a_bits": 0}, "a_bits must be in 1..12, not 0"),
        ({"b_bits": 13}, "b_bits must be in 1..12, not 13"),
        ({"a_bits": 3, "b_bits": 2}, "source_bits must be in 0..5, not 8"),
        ({"generator": "halton"}, "generator must be 'sobol' or 'lfsr', not 'halton'"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        DotParams(**change)


def test_signed_is_a_truth_value():
    with pytest.raises(TypeError, match="signed must be True or False, not 1"):
        DotParams(signed=1)


def vectors(p, runs, seed):
    """Random vectors [runs, lanes], with full and zero magnitudes among them."""
    rng = np.random.default_rng(seed)
    out = []
    for bits in (p.a_bits, p.b_bits):
        top = 1 << bits
        v = rng.integers(-top if p.signed else 0, top + 1, (runs, p.lanes))
        extreme = rng.choice([0, top, -top if p.signed else top], v.shape)
        out.append(np.where(rng.random(v.shape) < 0.15, extreme, v))
    return out


def load(p, a, b):
    """Inputs of runs that write both vectors: arrays [runs, cycles]."""
    cycles = []
    for which, (v, bits) in enumerate(((a, p.a_bits), (b, p.b_bits))):
        magnitude = np.abs(v)
        code = np.where(magnitude == 1 << bits, (2 << bits) - 1, magnitude)
        for plane in range(bits + 1 + p.signed):
            data = code >> plane & 1 if plane <= bits else v < 0
            cycles.append((which, plane, data))
    runs = len(a)
    inputs = {
        "write_a": np.array([[which == 0 for which, *_ in cycles]] * runs),
        "write_b": np.array([[which == 1 for which, *_ in cycles]] * runs),
        "plane": np.array([[plane for _, plane, _ in cycles]] * runs),
    }
    for n, port in enumerate(p.data_ports):
        first = n * DATA_BITS
        inputs[port.name] = np.stack(
            [
                (data[:, first : first + port.bits].astype(np.int64) << np.arange(port.bits)).sum(1)
                for *_, data in cycles
            ],
            axis=1,
        )
    return inputs


def program(p, a, b, cycles, seed=None):
    """Inputs of whole runs, the writes first; what comes later is random with a `seed`, else 0."""
    inputs = load(p, a, b)
    runs, length = inputs["plane"].shape
    rng = np.random.default_rng(seed)
    later = {}
    for port in p.ports[:-1]:
        high = 0 if seed is None else (1 << port.bits) - 1
        later[port.name] = rng.integers(0, high + 1, (runs, cycles))
        if port.kind == "bit":
            later[port.name][:, 0] = 0
    whole = {k: np.concatenate([inputs[k], later[k]], axis=1) for k in inputs}
    return {k: pack(v) if k.startswith("write") else v for k, v in whole.items()}, length + cycles


def counts(p, a, b, cycles):
    """The twin's count after each bit: [runs, cycles]."""
    inputs, length = program(p, a, b, cycles + p.signed)
    return DotModel(p).run(length, **inputs)["count"][:, -cycles:]


def test_a_full_vector_is_rounded_halves():
    """With b = 1, 2**k bits of a give floor(a 2**k / 2**n + 1/2), by the counting law of vdc."""
    p = DotParams(lanes=33, a_bits=6, b_bits=2, source_bits=6)
    a, _ = vectors(p, 20, 1)
    got = counts(p, a, np.full_like(a, 4), 64)
    for k in range(7):
        parts = (np.abs(a) * 2 ** (k + 1) + 64) // 128
        assert (got[:, 2**k - 1] == (np.sign(a) * parts).sum(1)).all(), k


def errors(p, runs=100):
    """RMS error of the mean product after 16, 64, 256 cycles."""
    rng = np.random.default_rng(5)
    a, b = rng.integers(-256 if p.signed else 0, 257, (2, runs, p.lanes))
    got, exact = counts(p, a, b, 256), (a * b).mean(1) / 65536
    return [np.sqrt(((got[:, n - 1] / (p.lanes * n) - exact) ** 2).mean()) for n in (16, 64, 256)]


@pytest.mark.parametrize(
    ("options", "figures"),
    [
        ({"lanes": 64, "signed": False}, (0.0044, 0.0025, 0.0002)),
        ({"lanes": 64, "signed": True}, (0.0040, 0.0013, 0.0003)),
        ({"lanes": 16, "signed": False}, (0.0083, 0.0029, 0.0005)),
    ],
    ids=str,
)
def test_error_of_the_mean_product(options, figures):
    """The figures of hdl/params/sc/dot.py; below .005 at 64 cycles."""
    found = errors(DotParams(**options))
    np.testing.assert_allclose(found, figures, rtol=0.15, atol=0.0001)
    assert found[1] <= 0.005


def test_a_shift_register_is_worse():
    """An LFSR of 8 bits, over 4 seeds: about .0093, .0045, .0022."""
    found = [errors(DotParams(signed=False, generator="lfsr", seed=seed), 40) for seed in range(4)]
    np.testing.assert_allclose(np.mean(found, axis=0), (0.0093, 0.0045, 0.0022), rtol=0.35)


@pytest.mark.parametrize(
    "options",
    [
        {"lanes": 1, "a_bits": 1, "b_bits": 1, "source_bits": 0},
        {"lanes": 1, "a_bits": 3, "b_bits": 2, "source_bits": 5, "signed": False},
        {"lanes": 3, "a_bits": 2, "b_bits": 5, "source_bits": 3},
        {"lanes": 37, "a_bits": 8, "b_bits": 4, "generator": "lfsr", "seed": 4},
        {"lanes": 64},
        {"lanes": 33, "a_bits": 12, "b_bits": 9, "source_bits": 11, "signed": False},
    ],
    ids=str,
)
def test_rtl(options):
    """Random vectors; the numbers start again, and writes during a count are ignored."""
    p = DotParams(**options)
    a, b = vectors(p, 5, 3)
    inputs, length = program(p, a, b, (2 << min(p.source_bits, 7)) + 9, seed=4)
    expected = check(p, Dot, DotModel, inputs, length=length)
    assert p.source_bits == 0 or expected["count"].any()


class Counter(wiring.Component):
    def __init__(self, bits, levels):
        self.bits, self.levels = bits, levels
        super().__init__({"i": In(bits), "o": Out(bits.bit_length())})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(popcount(m, self.i, levels=self.levels))
        return m


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("bits", [1, 2, 3, 7, 64, 100])
def test_popcount(bits, levels):
    """Against Python's count, a word a cycle; and as late as it says."""
    draw = random.Random(f"{bits} {levels}")
    words = [0, (1 << bits) - 1, *(draw.getrandbits(bits) for _ in range(60))]
    latency = popcount_latency(bits, levels)
    dut, got = Counter(bits, levels), []

    async def bench(ctx):
        for word in [*words, *[0] * latency]:
            ctx.set(dut.i, word)
            await ctx.tick()
            got.append(ctx.get(dut.o))

    sim = clocked(dut)
    sim.add_testbench(bench)
    run(sim, 200)
    assert got[latency - 1 :][: len(words)] == [word.bit_count() for word in words]
