"""Layers made crossbars, and what stands for their weights: exact where arithmetic is exact."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.sc.attention import AttentionParams
from mapping.banks import encode_banks
from mapping.crossbar import (
    crossbar_population,
    factors,
    layer_weights,
    targets,
)
from mapping.images import Synapses
from mapping.program import Formats, Input, Program
from tests.kit import random_program
from tests.kit_devices import with_devices
from tests.kit_fabric import all_to_all, population
from tests.kit_stochastic import head_program
from tests.mapping.plain_banks import PlainBanks


def layer(weights, *, graded=False, exponent=0, bits=8, formats=None) -> Program:
    """One layer with the weights [sources, size]."""
    formats = formats or Formats(payload_bits=6 if graded else 0)
    return Program(
        name="layer",
        formats=formats,
        inputs=(Input(name="in", size=len(weights), graded=graded),),
        populations=(population("out", weights.shape[1], 1, formats),),
        projections=(all_to_all("in", "out", weights, exponent=exponent, bits=bits),),
        outputs=("out",),
    )


def sums(program, x, name="out"):
    """Input sums of a crossbar population for values x, in plain Python."""
    p, sources = program.population(name), np.arange(len(x))
    c = p.dendrites
    banks = encode_banks(p, 0, c.blocks(p.size), sources, len(x))
    none = np.zeros_like(sources)
    synapses = Synapses(axon=sources, slot=none, weight=none, exponent=none)
    images = banks.images(synapses, p.size, len(x))
    values = {divmod(j, c.rows): int(v) for j, v in enumerate(x) if v}
    found = PlainBanks(banks.params, images).sums(values, images)[: p.size]
    half = 1 << (banks.acc_bits - 1)
    assert all(-half <= total < half for total in found)
    return found


@pytest.mark.parametrize("coding", ["serial", "width"])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns", "devices"), [(8, 5, 1), (13, 8, 2), (64, 64, 1), (3, 12, 3), (1, 2, 1)]
)
def test_ideal_devices_give_exact_sums(rows, columns, devices, graded, coding):
    """Largest weights of 8 = 2**3: every conductance is a whole number, no code is rounded."""
    rng = np.random.default_rng([rows, columns, devices])
    weights = rng.integers(-8, 9, (23, 7))
    weights[np.arange(23) // 2 * 2, rng.integers(7, size=23)] = 8
    weights[:, ::2] = rng.choice([-8, 8], (23, 4))
    crossbar = Crossbar(
        rows=rows, columns=columns, devices=devices, input=coding, adc_bits=16, converters=2
    )
    program = crossbar_population(layer(weights, graded=graded, exponent=3), "out", crossbar)
    assert program.population("out").dendrites.value_bits == (6 if graded else 0)
    ideal = {"sigma": 0, "spread": 0, "age": (0, 0, 0)}
    # A train of 31 reads of 64 rows overflows a code of 16 bits unless the converters divide.
    gain = 1 << (12 if coding == "width" and graded else 16)
    program = with_devices(program, "out", 3, gain=gain, **ideal)
    for _ in range(3):
        x = rng.integers(-31, 32, 23) if graded else rng.integers(0, 2, 23)
        wanted = x @ layer_weights(program, "out")
        np.testing.assert_array_equal(layer_weights(program, "out"), weights * 8)
        tolerance = 0 if gain == 1 << 16 else len(x) * 8 * 16 * devices
        assert np.abs(np.array(sums(program, x)) - wanted).max() <= tolerance


def test_shares_add_up_and_are_even():
    rng = np.random.default_rng(5)
    weights = rng.integers(-128, 128, (20, 9))
    crossbar = Crossbar(rows=8, columns=20, devices=3, cell_bits=9, spares=1)
    program = crossbar_population(layer(weights), "out", crossbar)
    found = targets(program, "out")
    assert found.values.shape == (3, 3, 8, 18)
    pairs = found.values.reshape(3, 3, 8, 3, 3, 2)
    total, full = pairs.sum(axis=4), 3 * 256
    assert found.values.max() == 256
    assert (pairs.max(axis=4) - pairs.min(axis=4)).max() <= 1
    for source, neuron in np.ndindex(weights.shape):
        block, place, tile, row = neuron // 3, neuron % 3, source // 8, source % 8
        bank = weights[tile * 8 : tile * 8 + 8, block * 3 : block * 3 + 3]
        w, most = int(weights[source, neuron]), int(np.abs(bank).max())
        assert found.scale[block, tile] == most / full
        positive, negative = total[block, tile, row, place].tolist()
        assert (positive, negative)[w > 0] == 0
        assert abs((positive or -negative) - w * full / most) <= 0.5
    assert not total[:, 2, 4:].any(), "rows without a source"


@pytest.mark.parametrize("sampling", ["binary", "ternary"])
def test_means_of_sampled_weights_are_the_weights(sampling):
    rng = np.random.default_rng(6)
    weights = rng.integers(-60, 61, (11, 5))
    weights[3, 2] = -60
    crossbar = Crossbar(rows=4, columns=6, sampling=sampling)
    program = crossbar_population(layer(weights, exponent=2), "out", crossbar)
    found = targets(program, "out")
    assert (found.scale == 240).all()
    p = found.values
    assert 0 <= p.min() <= p.max() <= 1
    for source, neuron in np.ndindex(weights.shape):
        block, place = divmod(neuron, crossbar.neurons)
        at = p[block, source // 4, source % 4, place * crossbar.width :]
        mean = 2 * at[0] - 1 if sampling == "binary" else at[0] - at[1]
        assert mean * 240 == pytest.approx(weights[source, neuron] * 4)
    assert not p[:, 2, 3:].any(), "rows without a source"
    assert sampling == "binary" or not (p[..., 0::2] * p[..., 1::2]).any()
    assert not p.reshape(*p.shape[:3], -1, crossbar.width)[-1, :, :, 5 % crossbar.neurons :].any()
    factor, fraction = factors(program, "out", found)
    assert factor.max() == 240 << fraction
    assert 1 << 13 <= factor.max() < 1 << 14


def test_factors_use_their_bits():
    rng = np.random.default_rng(7)
    weights = rng.integers(-128, 128, (20, 9)) // np.where(np.arange(20) < 8, 1, 16)[:, None]
    program = crossbar_population(layer(weights), "out", Crossbar(rows=8, columns=8))
    found = targets(program, "out")
    for gain, headroom in ((1 << 16, 2), (300, 0), (2000.5, 3)):
        factor, fraction = factors(program, "out", found, gain, headroom)
        assert factor.shape == (3, 3, 4)
        assert not factor[2, :, 1:].any(), "places without a neuron"
        assert 1 << 15 - headroom <= factor.max() < 1 << 16 - headroom or fraction == 24
        worth = factor[:, :, 0] / 2**fraction * gain / 2**16
        step = found.scale.max() / 2 ** (16 - headroom)
        np.testing.assert_allclose(worth, found.scale, rtol=0, atol=step)
    with pytest.raises(UserError) as caught:
        factors(program, "out", found, gain=0.1)
    assert str(caught.value) == (
        "out: one step of its converters is worth 162560 weight units, 8191.5 can be told; "
        "use more ADC bits (--adc-bits) or fewer weight bits (--weight-bits)"
    )
    zero = crossbar_population(layer(weights * 0), "out", Crossbar(rows=8, columns=8))
    factor, _ = factors(zero, "out", targets(zero, "out"))
    assert not factor.any()


def test_layers_become_dense_and_say_so():
    program = random_program(2, (30, 20, 5), density=0.1, weight_bits=3)
    plain = program.population("pop1_0")
    made = crossbar_population(program, "pop1_0", Crossbar(rows=16, columns=16))
    (note,) = made.notes[len(program.notes) :]
    into = [q for q in made.projections if q.target == "pop1_0"]
    stored = sum(np.count_nonzero(q.weights) for q in into)
    whole = sum(q.weights.size for q in into)
    assert note["node"] == "pop1_0"
    assert note["change"].startswith(f"{whole - stored} weights of 0 take devices beside {stored}")
    for q in into:
        assert (np.diff(q.indptr) == 20).all()
        (before,) = [
            o for o in program.projections if (o.source, o.target, o.delay)
            == (q.source, q.target, q.delay)
        ]  # fmt: skip
        assert sorted(before.weights[before.weights != 0]) == sorted(q.weights[q.weights != 0])
    assert made.population("pop1_0").fields is plain.fields
    full = crossbar_population(
        random_program(2, (30, 20, 5), density=1), "pop1_0", Crossbar(rows=16, columns=16)
    )
    assert full.notes == ()


def test_parallel_projections_are_added_up():
    rng = np.random.default_rng(1)
    weights = rng.integers(-8, 8, (6, 4))
    program = layer(weights)
    (q,) = program.projections
    program = replace(program, projections=(q, replace(q, exponent=2)))
    made = crossbar_population(program, "out", Crossbar(rows=4, columns=8))
    assert len(made.projections) == 1
    np.testing.assert_array_equal(layer_weights(made, "out"), weights * 5)


def test_layers_that_no_crossbar_holds():
    crossbar = Crossbar(rows=8, columns=8)
    program = layer(np.ones((6, 4), int))
    unfed = replace(program, projections=())
    relay = replace(program, populations=(replace(program.populations[0], kind="Delay"),))
    wide = layer(np.ones((6, 4), int), graded=True, formats=Formats(payload_bits=13))
    huge = Crossbar(rows=1024, columns=128, devices=8)
    heads = head_program(AttentionParams(tokens=2, dim=2))
    for given, name, c, message in (
        (heads, "head", crossbar, "engine: head is an attention head, which has a core of its own; "
         "leave it out"),
        (relay, "out", crossbar,
         "engine: out only repeats its source a step later; leave it out"),
        (unfed, "out", crossbar, "engine: no connection feeds out, so there are no weights for a "
         "crossbar; leave it out"),
        (wide, "out", crossbar, "out: in sends values of 13 bits, a crossbar takes 12; use fewer "
         "(--payload-bits 12)"),
        (layer(np.ones((6, 1100), int)), "out", huge,
         "out: 6 inputs and 1100 neurons take 138 x 1 banks, 18087936 devices, 16777216 available; "
         "use fewer pairs (--pairs), a larger array (--array) or the event engine for it"),
    ):  # fmt: skip
        with pytest.raises(UserError) as caught:
            crossbar_population(given, name, c)
        assert str(caught.value) == message
