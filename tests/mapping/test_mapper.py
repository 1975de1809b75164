import dataclasses

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from hdl.params.noc import Memory
from mapping.mapper import Target, map_program
from sim.expected import canonical, expected
from sim.golden.network import Golden
from sim.protocol import decode, encode
from tests.kit import random_events, random_program
from tests.mapping.fabric import Fabric, unpack, walk


def run(mapped, events):
    """The plain fabric's answer, memories loaded through the host, states probed."""
    words = encode(mapped, events, load=True, probe=True)
    answer = np.array(Fabric(mapped, loaded=False).run(words), dtype=np.uint64)
    decoded = decode(mapped, answer, events.shape[1], probe=True)
    assert decoded.errors == ()
    return answer, decoded


def check(program, events, target):
    golden = Golden(program).run(events)
    mapped = map_program(program, target)
    answer, decoded = run(mapped, events)
    assert np.array_equal(decoded.outputs, golden.outputs)
    for name, state in golden.snapshot().items():
        for key, value in state.items():
            assert np.array_equal(decoded.probes[name][key], value), (name, key)
    wanted = expected(mapped, golden.outputs, golden.snapshot())
    assert np.array_equal(canonical(mapped, answer), wanted)
    return mapped


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("cores", [1, 2, 4, 9])
@pytest.mark.parametrize("seed", range(6))
def test_every_mapping_computes_the_same(seed, cores, lanes):
    program = random_program(
        seed,
        (7, (9, 6), 10, 4),
        graded=seed % 2 == 1,
        cuba=seed % 3 == 0,
        weight_bits=(1, 2, 4)[seed % 3],
    )
    check(program, random_events(seed, program, 2, 8), Target(cores=cores, lanes=lanes))


@pytest.mark.parametrize("update_lanes", [1, 2, 8])
@pytest.mark.parametrize("interval", [3, 4, 7])
def test_interval_and_update_lanes_change_nothing(interval, update_lanes):
    program = random_program(8, (7, 13, 10, 4))
    events = random_events(8, program, 2, 8)
    target = Target(cores=2, lanes=8, interval=interval, update_lanes=update_lanes)
    assert check(program, events, target).schedule.interval == interval


def test_a_feed_forward_network_is_a_pipeline():
    program = random_program(3, (7, 13, 10, 8, 4), recurrent=False, skip=False)
    mapped = check(program, random_events(3, program, 3, 9), Target(cores=3, lanes=2))
    assert mapped.schedule.interval == 1
    assert mapped.schedule.ticks(9) == 8 + 4


@pytest.mark.parametrize(("width", "height"), [(5, 1), (1, 5), (3, 2), (4, 4)])
def test_any_mesh_with_tiles_to_spare(width, height):
    program = random_program(9, (7, 13, 10, 4))
    events = random_events(9, program, 2, 8)
    mapped = check(program, events, Target(cores=5, lanes=2, width=width, height=height))
    assert sum(c is not None for c in mapped.mesh.cores) == 5
    for core, images in zip(mapped.mesh.cores, mapped.images, strict=True):
        assert (core is None) == (images is None)


def test_more_cores_than_neurons():
    program = random_program(2, (3, 2, 2))
    mapped = check(program, random_events(2, program, 2, 8), Target(cores=9, lanes=4))
    assert sum(c is not None for c in mapped.mesh.cores) == 4
    assert mapped.notes == (
        {
            "node": "mesh",
            "change": "4 of 9 cores are used",
            "effect": "the other tiles have a router and no core",
        },
    )


def test_a_network_without_synapses_or_outputs():
    program = random_program(2, (3, 5))
    for change in ({"projections": ()}, {"outputs": ()}):
        bare = dataclasses.replace(program, **change)
        check(bare, random_events(2, program, 2, 5), Target(cores=2, lanes=2))


def test_same_program_same_mapping():
    program = random_program(4, (20, 60, 40, 10))
    target = Target(cores=6, lanes=4, seed=3)
    a, b = map_program(program, target), map_program(program, target)
    assert a.images == b.images
    assert a.mesh == b.mesh
    assert a.input_routes == b.input_routes
    assert a.stats == b.stats


def test_each_population_has_its_range():
    program = random_program(5, (8, (9, 7), 13, (3, 6)))
    for update_lanes in (1, 4):
        mapped = map_program(program, Target(cores=2, lanes=4, update_lanes=update_lanes))
        for p in program.populations:
            where, slots = mapped.slots[p.name]
            for tile, slot in zip(where, slots, strict=True):
                ranges = mapped.mesh.cores[tile].ranges
                hit = [r for r in ranges if r.first <= slot // update_lanes < r.end]
                assert [r.level for r in hit] == [p.level - 1]


def test_slices_start_at_a_word_and_empty_slots_send_nothing():
    mapped = map_program(random_program(5, (8, (9, 7), 13, (3, 6))), Target(cores=3, lanes=4))
    used = set()
    for where, slots in mapped.slots.values():
        for tile in np.unique(where):
            mine = np.sort(slots[where == tile])
            assert mine[0] % 4 == 0
            assert np.array_equal(mine, mine[0] + np.arange(len(mine)))
        used |= set(zip(where.tolist(), slots.tolist(), strict=True))
    for tile, (core, images) in enumerate(zip(mapped.mesh.cores, mapped.images, strict=True)):
        entries = mapped.mesh.entries[tile]
        assert core is None or len(images[Memory.ROUTE]) == core.slots * entries
        for slot in range(core.slots if core else 0):
            if (tile, slot) not in used:
                assert not any(images[Memory.ROUTE][slot * entries : (slot + 1) * entries])


def test_link_loads_are_those_of_the_routes():
    program = random_program(6, (9, 14, 12, 5))
    activity = {p.name: 0.5 for p in program.populations} | {program.inputs[0].name: 2.0}
    mapped = map_program(program, Target(cores=4, lanes=2), activity)
    flit, loads = mapped.mesh.flit, {}

    def count(rows, columns, x, y, events):
        for a, b, c, d in walk(rows, columns, x, y, flit.width, flit.height)[1]:
            name = f"{a},{b}>{c},{d}" if d >= 0 else f"{a},{b}>host"
            loads[name] = loads.get(name, 0) + events

    for routes in mapped.input_routes + mapped.delayed_routes:
        for _, rows, columns in routes:
            loads["host>0,0"] = loads.get("host>0,0", 0) + 2.0
            count(rows, columns, 0, 0, 2.0)
    for tile, images in enumerate(mapped.images):
        for word in images[Memory.ROUTE]:
            _, rows, columns, _, valid = unpack(
                word, flit.tag_bits, flit.rows_bits, flit.columns_bits, 1
            )
            if valid:
                count(rows, columns, tile % flit.width, tile // flit.width, 0.5)
    assert mapped.stats["links"] == pytest.approx(loads)
    flits, hops = mapped.stats["flits_per_step"], mapped.stats["mean_hops"]
    assert flits * hops == pytest.approx(sum(loads.values()))


def test_value_bits_are_the_same_everywhere():
    for graded in (False, True):
        for emit in (Emit.SPIKE, Emit.STATE):
            program = random_program(1, (8, 12, 4), graded=graded, emit=emit)
            mapped = map_program(program, Target(cores=3, lanes=2))
            wanted = {
                (False, Emit.SPIKE): 0,
                (False, Emit.STATE): 16,
                (True, Emit.SPIKE): 8,
                (True, Emit.STATE): 16,
            }[graded, emit]
            assert mapped.mesh.flit.value_bits == wanted
            assert {c.value_bits for c in mapped.mesh.cores if c} == {wanted}


def test_synapse_memory_within_its_limit_by_uneven_cores():
    program = random_program(7, (40, (64, 64), 8), recurrent=False, skip=False)
    wide = tuple(
        dataclasses.replace(
            q, weight_bits=16 if q.target == "pop1_0" else 2, weights=q.weights // 4
        )
        for q in program.projections
    )
    program = dataclasses.replace(program, projections=wide)
    even = map_program(program, Target(cores=4, lanes=4))
    bits = [c["synapse_bits"] for c in even.stats["cores"]]
    limit = int(max(bits) * 0.9)
    assert sum(bits) < 4 * limit
    tight = map_program(program, Target(cores=4, lanes=4, synapse_bits=limit))
    assert max(c["synapse_bits"] for c in tight.stats["cores"]) <= limit
    check(program, random_events(7, program, 1, 5), Target(cores=4, lanes=4, synapse_bits=limit))


def big(layers=(500, 2500, 2500, 2500, 2500), fan_out=100):
    """1e4 neurons, a million synapses."""
    rng = np.random.default_rng(0)
    program = random_program(0, [4] * len(layers), recurrent=False, skip=False, uniform=True)
    sizes = dict(
        zip([program.inputs[0].name, *(p.name for p in program.populations)], layers, strict=True)
    )
    populations = tuple(
        dataclasses.replace(
            p,
            size=sizes[p.name],
            fields={k: np.full(sizes[p.name], v[0]) for k, v in p.fields.items()},
            membrane_scale=np.ones(sizes[p.name]),
        )
        for p in program.populations
    )
    projections = []
    for q in program.projections:
        rows, columns = sizes[q.source], sizes[q.target]
        middle = np.arange(rows)[:, None] * columns // rows
        near = middle + rng.integers(-200, 200, (rows, fan_out))
        far = np.unique(np.arange(rows)[:, None] * columns + near % columns)
        counts = np.bincount(far // columns, minlength=rows)
        projections.append(
            dataclasses.replace(
                q,
                indptr=np.concatenate([[0], np.cumsum(counts)]),
                indices=far % columns,
                weights=rng.integers(1, 8, len(far)),
            )
        )
    inputs = (dataclasses.replace(program.inputs[0], size=layers[0]),)
    return dataclasses.replace(
        program, inputs=inputs, populations=populations, projections=tuple(projections)
    )


def test_ten_thousand_neurons_on_sixteen_cores():
    program = big()
    mapped = map_program(program, Target(cores=16, lanes=16))
    assert sum(c["neurons"] for c in mapped.stats["cores"]) == 10_000
    assert mapped.stats["km1"] < 1.5
    slots = [c["slots"] for c in mapped.stats["cores"]]
    assert max(slots) < 2 * np.mean(slots)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(cores=0), "cores must be at least 1, not 0"),
        (Target(lanes=3), "lanes must be a power of two in 1..256, not 3"),
        (Target(index="row"), "index must be auto, none, word or lane, not row"),
        (
            Target(lanes=4, update_lanes=8),
            "update_lanes must be a power of two up to lanes (4), not 8",
        ),
        (
            Target(cores=5, width=2, height=2),
            "mesh: 5 cores need as many tiles, 2 x 2 available; "
            "use a larger mesh (--width, --height) or fewer cores (--cores)",
        ),
        (Target(width=33), "mesh: width must be in 1..32, not 33"),
        (
            Target(lanes=4, synapse_bits=1000),
            "synapse memory: the weights alone need 1816 bits, 1 x 1000 available; "
            "use more cores (--cores 2) or fewer weight bits (--weight-bits)",
        ),
        (
            Target(lanes=4, synapse_bits=50),
            "synapse memory: one neuron's weights need 88 bits, 50 available; "
            "allow more in a core (--synapse-bits 88) or use fewer weight bits (--weight-bits)",
        ),
        (
            Target(lanes=4, synapse_bits=5000),
            "core at tile 0: 5720 bits of synapse memory needed, 5000 available (most for pop1_0); "
            "use more cores (--cores) or fewer weight bits (--weight-bits)",
        ),
        (
            Target(lanes=4, axons=10),
            "core at tile 0: 46 axons needed, 10 available (most for pop1_0); "
            "use more cores (--cores) or prune inputs",
        ),
        (
            Target(lanes=4, neurons=16),
            "neurons: 36 slots needed (populations padded to 4 lanes), 1 x 16 available; "
            "use more cores (--cores 3) or fewer lanes (--lanes)",
        ),
        (
            Target(lanes=4, interval=1),
            "interval must be at least 3 for projection in0_0 -> pop3_0, not 1",
        ),
        (
            Target(cores=9, lanes=1, width=22, height=22),
            "host words need 68 bits, 64 available (22 x 22 mesh, 3 levels, flits of 67 bits); "
            "use a smaller mesh (--cores, --width, --height)",
        ),
    ],
)
def test_what_does_not_fit_says_what_and_what_helps(target, text):
    program = random_program(0, (10, 14, 12, 6), weight_bits=4)
    with pytest.raises(UserError) as error:
        map_program(program, target)
    assert str(error.value) == text


def test_routes_that_do_not_fit():
    program = random_program(0, (10, 14, 12, 6), emit=Emit.SPIKE)
    with pytest.raises(UserError, match=r"^routes: .* more than 1 route entries; use a full mesh"):
        map_program(program, Target(cores=3, lanes=1, width=2, height=2, routes=1))
    mapped = map_program(program, Target(cores=4, lanes=1, width=2, height=2, routes=2))
    assert max(mapped.mesh.entries) <= 2


def test_activity_of_nobody():
    with pytest.raises(
        UserError, match=r"^activity of pop9: there is no such input or population$"
    ):
        map_program(random_program(0), Target(), {"pop9": 1.0})


def wrong_programs():
    program = random_program(0, (6, 8, 5, 3), recurrent=False, skip=False)
    first = program.projections[0]
    state = program.populations[0]
    emit = {**state.fields, "emit": np.full(state.size, int(Emit.STATE))}
    yield (
        {"populations": (dataclasses.replace(state, fields=emit), *program.populations[1:])},
        "projection pop1_0 -> pop2_0: pop1_0 sends its state, which only the host can take",
    )
    yield (
        {"projections": (dataclasses.replace(first, exponent=16),)},
        "projection in0_0 -> pop1_0: exponent must be in 0..15, not 16",
    )
    yield (
        {"projections": (dataclasses.replace(first, weights=first.weights + 20),)},
        "projection in0_0 -> pop1_0: weights do not fit weight_bits (4)",
    )
    yield {"outputs": ("x",)}, "output x: there is no such population"
    yield {"outputs": ("pop3_0", "pop3_0")}, "outputs must be distinct, not pop3_0, pop3_0"
    yield (
        {"populations": (), "projections": (), "outputs": ()},
        ("program random: there is no population to map"),
    )


@pytest.mark.parametrize(("change", "text"), list(wrong_programs()))
def test_programs_that_can_not_be_mapped(change, text):
    program = random_program(0, (6, 8, 5, 3), recurrent=False, skip=False)
    with pytest.raises(UserError) as error:
        map_program(dataclasses.replace(program, **change), Target())
    assert str(error.value) == text


def test_all_problems_are_listed_at_once():
    program = random_program(0, (6, 8, 5, 3), recurrent=False, skip=False)
    wrong = tuple(dataclasses.replace(q, exponent=20) for q in program.projections)
    with pytest.raises(UserError) as error:
        map_program(dataclasses.replace(program, projections=wrong), Target())
    assert str(error.value).count("; ") == len(wrong) - 1
