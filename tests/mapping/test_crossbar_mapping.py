"""Mappings of crossbar populations: memory images, run on the plain fabric, limits."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.crossbar.core import CrossbarParams, Region
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.noise import state_of
from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from hdl.params.noc import Memory
from mapping.kinds import kinds_of
from mapping.mapper import Target, map_program
from mapping.network import flatten
from sim.golden.network import Golden
from sim.protocol import decode, encode
from sim.rtl import step_cycles
from sim.words import control_words
from tests.kit import random_events, random_program
from tests.kit_devices import crossbar_program, on_crossbar
from tests.kit_stochastic import stochastic
from tests.mapping.fabric import Fabric
from tests.mapping.plain_banks import region
from tests.mapping.test_mapper import check

SMALL = Crossbar(rows=8, columns=8, converters=4)


@pytest.mark.parametrize("cores", [4, 9])
@pytest.mark.parametrize("seed", range(8))
def test_every_mapping_computes_the_same(seed, cores):
    options = {"graded": seed % 2 == 1, "cuba": seed % 3 == 0, "weight_bits": (1, 2, 4)[seed % 3]}
    program = crossbar_program(seed, (7, (9, 6), 4), **options)
    check(program, random_events(seed, program, 1, 5, 0.4), Target(cores=cores, lanes=4))


@pytest.mark.parametrize("target", [{}, {"cores": 5, "width": 5, "height": 1}, {"cores": 6}])
def test_kinds_of_cores_side_by_side(target):
    """Events, streams and crossbars, recurrent, with a skip and a delayed input."""
    program = random_program(11, (9, (8, 7), 10, 4))
    program = on_crossbar(program, ("pop1_0", "pop2_0"), replace(SMALL, sampling="ternary"), 11)
    program = stochastic(program, ("pop1_1",), length=4)
    mapped = check(program, random_events(11, program, 2, 6, 0.5), Target(lanes=2, **target))
    kinds = {c["dendrites"] for c in mapped.stats["cores"]}
    assert kinds == {"events", "streams", "crossbar"}


def banks_of(mapped, name):
    """(tile, core, images) of the cores of a population, by their first neurons."""
    where, _ = mapped.slots[name]
    tiles = list(dict.fromkeys(where.tolist()))
    return [(t, mapped.mesh.cores[t], mapped.images[t]) for t in tiles]


@pytest.mark.parametrize("cores", [1, 2, 3, 5])
@pytest.mark.parametrize("sampling", ["none", "binary"])
def test_images_are_the_populations_data(sampling, cores):
    program = random_program(3, (21, 27), skip=False)
    crossbar = Crossbar(rows=13, columns=11, spares=1, sampling=sampling, converters=3)
    program = on_crossbar(program, ("pop1_0",), crossbar, 3)
    p = program.population("pop1_0")
    c, arrays = p.dendrites, p.arrays
    mapped = map_program(program, Target(cores=cores))
    found = {key: [] for key in arrays}
    block, sources = 0, flatten(program)
    held = [core.dendrites.blocks for _, core, _ in banks_of(mapped, "pop1_0")]
    assert sum(held) == c.blocks(p.size)
    assert len(held) == min(cores, sum(held))
    assert max(held) - min(held) <= 1
    for tile, core, images in banks_of(mapped, "pop1_0"):
        d = core.dendrites
        assert isinstance(d, CrossbarParams)
        array = d.array
        shape = (d.blocks, d.tiles, c.rows, c.columns)
        item = np.array(images[Memory.SYNAPSE]).reshape(shape)
        assert item.max() >> (c.cell_bits + 9) == 0, "no device is stuck"
        found["conductance"].append(item & ((1 << c.cell_bits) - 1))
        found["exponent"].append(item >> c.cell_bits)
        for key, which in (("factor", Region.FACTOR), ("column", Region.COLUMN)):
            words = region(d, images, which)
            found[key].append(np.array(words).reshape(d.blocks, *arrays[key].shape[1:]))
        if sampling != "none":
            words = region(d, images, Region.REFERENCE)
            found["reference"].append(np.array(words).reshape(d.blocks, *shape[1:2], c.columns))
        assert region(d, images, Region.AGE) == arrays["age"].tolist()
        states = [state_of(c.seed, block + b) for b in range(d.blocks)]
        assert region(d, images, Region.STATE) == [word for pair in states for word in pair]
        assert d.read_noise == tuple(arrays["read_noise"].tolist())
        assert d.gain == tuple(arrays.get("gain", np.zeros(0, int)).tolist())
        assert array.senses == (sampling != "none")
        where, slot = mapped.slots["pop1_0"]
        mine = np.flatnonzero(where == tile)
        assert (mine == block * c.neurons + np.arange(len(mine))).all()
        assert (slot[mine] == np.arange(len(mine))).all()
        valid = [x for x in images[Memory.POINTER] if x >> (d.pointer_bits - 1)]
        inputs = sum(len(q.indptr) - 1 for q in program.projections if q.target == "pop1_0")
        assert sorted(valid) == sorted(d.pointer(j) for j in range(inputs))
        block += d.blocks
    for key, parts in found.items():
        if parts:
            np.testing.assert_array_equal(np.concatenate(parts), arrays[key], key)
    assert sources.number.max() == inputs - 1


def test_weights_of_zero_drive_their_rows():
    program = random_program(4, (6, 5), recurrent=False, skip=False)
    program = on_crossbar(program, ("pop1_0",), SMALL, 4)
    zero = tuple(replace(q, weights=q.weights * 0) for q in program.projections)
    silent = replace(program, projections=zero)
    events = random_events(4, program, 2, 6, 0.6)
    np.testing.assert_array_equal(
        Golden(silent).run(events).outputs, Golden(program).run(events).outputs
    )
    check(silent, events, Target(cores=2))


def test_values_may_be_wider_than_payloads():
    program = random_program(4, (6, 5), recurrent=False, skip=False, emit=Emit.SPIKE)
    program = on_crossbar(program, ("pop1_0",), SMALL, 4)
    p = program.populations[0]
    wide = replace(p, dendrites=replace(p.dendrites, value_bits=5))
    program = replace(program, populations=(wide,))
    mapped = check(program, random_events(4, program, 1, 5, 0.6), Target(cores=2))
    assert mapped.mesh.flit.value_bits == 5


def test_each_population_has_cores_of_its_own():
    program = random_program(1, (8, (5, 7), 6))
    program = on_crossbar(program, ("pop1_0", "pop1_1", "pop2_0"), SMALL, 1)
    same = replace(program.population("pop1_0").dendrites, seed=1)
    populations = tuple(replace(p, dendrites=same) for p in program.populations)
    program = replace(program, populations=populations)
    assert [kind.populations for kind in kinds_of(program)] == [(0,), (1,), (2,)]
    mapped = map_program(program, Target())
    assert [c["blocks"] for c in mapped.stats["cores"]] == [2, 2, 2]
    with pytest.raises(UserError) as caught:
        map_program(program, Target(cores=2))
    assert str(caught.value) == (
        "cores: 3 needed, 2 available; by kind: 1 crossbar (pop1_0); 1 crossbar (pop1_1); "
        "1 crossbar (pop2_0); use more cores (--cores 3)"
    )


def test_stats_name_banks_cells_and_converters():
    program = on_crossbar(random_program(1, (20, 10)), ("pop1_0",), SMALL, 1)
    mapped = map_program(program, Target(cores=2))
    shown = mapped.stats["cores"][0]
    tiles = -(-(20 * 2 + 10) // 8)
    wanted = {
        "dendrites": "crossbar", "weight_bits": 10, "blocks": 2, "banks": 2 * tiles, "rows": 8,
        "columns": 8, "cells": 2 * tiles * 64, "converters": 8 * tiles, "adc_bits": 8,
        "sampling": "none", "device": "",
    }  # fmt: skip
    assert {key: shown[key] for key in wanted} == wanted
    core = mapped.mesh.cores[shown["tile"]]
    d = core.dendrites
    words = 3 * 13 + 2 * 2 * 64 + 2 * tiles * 4 * 16 + 2 * 8 * 3
    pointers = shown["axons"] * (3 + 3 + 1)
    assert shown["synapse_bits"] == shown["cells"] * (10 + 9 + 1) + words + pointers
    assert d.read_cycles < step_cycles(core) + 1 < core.update_cycles


def test_limits_of_a_core():
    program = on_crossbar(random_program(1, (20, 10), skip=False), ("pop1_0",), SMALL, 1)
    wide = map_program(program, Target(cores=1)).stats["cores"][0]
    for limits, blocks in (
        ({"neurons": 10}, [3]),
        ({"neurons": 9}, [2, 1]),
        ({"neurons": 7}, [1, 1, 1]),
        ({"synapse_bits": wide["synapse_bits"]}, [3]),
        ({"synapse_bits": wide["synapse_bits"] - 1}, [2, 1]),
        ({"synapse_bits": wide["synapse_bits"] * 2 // 5}, [1, 1, 1]),
    ):
        mapped = check(
            program, random_events(1, program, 1, 3), Target(cores=len(blocks), **limits)
        )
        assert [core.dendrites.blocks for _, core, _ in banks_of(mapped, "pop1_0")] == blocks
    for limits, message in (
        ({"neurons": 3}, "pop1_0: a block of its crossbar has 4 neurons, 3 slots available; allow "
         "more in a core (--neurons) or use a narrower array (--array)"),
        ({"neurons": 4, "cores": 2}, "cores: 3 needed, 2 available; by kind: 3 crossbar (pop1_0); "
         "use more cores (--cores 3)"),
        ({"synapse_bits": 500}, "pop1_0: a block of its crossbar takes 5567 bits of synapse "
         "memory, 500 available; allow more in a core (--synapse-bits) or use a narrower array "
         "(--array)"),
        ({"synapse_bits": 5567}, "bits of synapse memory needed, 5567 available (most for pop1_0); "
         "use more cores (--cores) or a narrower array (--array)"),
        ({"axons": 29}, "30 axons needed, 29 available (most for pop1_0); "
         "use more cores (--cores) or prune inputs"),
    ):  # fmt: skip
        with pytest.raises(UserError) as caught:
            map_program(program, Target(**{"cores": 4, **limits}))
        assert str(caught.value).endswith(message)


def test_sums_that_no_accumulator_holds():
    """12 bits of values, 16 of codes, 16 of factors; the fraction takes but one."""
    program = random_program(1, (20, 10), skip=False)
    program = on_crossbar(program, ("pop1_0",), SMALL, 1)
    p = program.population("pop1_0")
    wide = replace(p.dendrites, fraction=1, adc_bits=16, value_bits=12)
    with pytest.raises(UserError) as caught:
        map_program(replace(program, populations=(replace(p, dendrites=wide),)), Target())
    assert str(caught.value) == (
        "core of pop1_0: accumulators need 47 bits, 40 available; "
        "use fewer ADC bits (--adc-bits) or smaller payloads (--payload-bits)"
    )


@pytest.mark.parametrize("sampling", ["none", "ternary"])
def test_control_words_make_the_hardware_another_programs(sampling):
    """Seed, age, references, factors and columns of a mapped Program are written at run time."""
    rng = np.random.default_rng(8)
    program = random_program(8, (9, 11, 4))
    crossbar = replace(SMALL, sampling=sampling, spares=1)
    program = on_crossbar(program, ("pop1_0", "pop2_0"), crossbar, 8)
    events = random_events(8, program, 2, 6, 0.5)
    mapped = map_program(program, Target(cores=4))
    before = Golden(program).run(events).outputs
    for change in ("seed", "age", "factor", "column", "reference"):
        populations = []
        for p in program.populations:
            arrays = dict(p.arrays)
            if change == "age":
                arrays["age"] = np.array([8000, 900, 500])
            elif change == "factor":
                arrays["factor"] = arrays["factor"] // 2
            elif change == "column":
                arrays["column"] = rng.permuted(arrays["column"], axis=1)
            elif change == "reference" and sampling != "none":
                arrays["reference"] = arrays["reference"] // 2
            if change == "seed":
                p = replace(p, dendrites=replace(p.dendrites, seed=123))
            populations.append(replace(p, arrays=arrays))
        changed = replace(program, populations=tuple(populations))
        golden = Golden(changed).run(events)
        assert (change == "reference" and sampling == "none") or (golden.outputs != before).any()
        other = replace(mapped, program=changed)
        assert len(control_words(other))
        answer = Fabric(other).run(encode(other, events, control=True, probe=True))
        decoded = decode(other, np.array(answer, dtype=np.uint64), events.shape[1], probe=True)
        assert decoded.errors == ()
        assert np.array_equal(decoded.outputs, golden.outputs)
        for name, state in golden.final.items():
            assert np.array_equal(decoded.probes[name]["membrane"], state.membrane)


def test_parallel_projections_are_refused():
    program = on_crossbar(random_program(1, (6, 5), skip=False), ("pop1_0",), SMALL, 1)
    twice = replace(program, projections=(program.projections[0], *program.projections))
    with pytest.raises(UserError, match="in0_0 has several projections of delay 0 to it; add them"):
        map_program(twice, Target())
