"""Mappings of states, gates, tables and changes: memory images, the plain fabric, limits."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from hdl.params.noc import Memory
from hdl.params.sc.lfsr import LfsrParams, seed_of, successor
from hdl.params.ssm.diagonal import Diagonal, DiagonalParams
from hdl.params.ssm.gate import Gate, GateParams
from mapping.kinds import kinds_of
from mapping.mapper import Target, map_program
from sim.golden.network import Golden
from sim.protocol import decode, encode
from sim.rtl import step_cycles
from tests.kit_states import gated_program, random_values, s4d_program
from tests.kit_stochastic import one_to_one
from tests.mapping.fabric import Fabric
from tests.mapping.plain_states import PlainStates
from tests.mapping.test_mapper import check


def direct_sums(d: Diagonal, arrays: dict, u: np.ndarray) -> np.ndarray:
    """acc [steps, size] of a whole population from its arrays, by the equations."""
    n = d.states(u.shape[1])
    ar, ai = (*arrays["pole"].T, np.zeros(n, np.int64))[:2]
    cr, ci = (*arrays["mix"].T, np.zeros(n, np.int64))[:2] if d.mixed else (0, 0)
    owner = np.arange(n) // d.order if d.mixed else d.neurons * np.arange(n)
    low, high = -(1 << (d.state_bits - 1)), (1 << (d.state_bits - 1)) - 1
    draws = [seed_of(d.seed, k, 32) for k in range(n)]
    half = other = np.full(n, 1 << (d.pole_bits - 1))
    re, im = np.zeros((2, n), np.int64)
    acc = np.zeros(u.shape, np.int64)
    for t in range(len(u)):
        if d.stochastic:
            w = np.array(draws)
            half, other = ((part << d.pole_bits) >> 16 for part in (w & 0xFFFF, w >> 16))
            draws = [successor(LfsrParams(width=32, steps=32), w) for w in draws]
        e = d.drive_shift + arrays["gain"]
        p = u[t, owner]
        q = u[t, owner + 1] if d.neurons == 2 else 0
        re, im = (
            np.clip((ar * re - ai * im + (p << e) + half) >> d.pole_bits, low, high),
            np.clip((ar * im + ai * re + (q << e) + other) >> d.pole_bits, low, high),
        )
        if d.real:
            im = np.zeros(n, np.int64)
        if d.mixed:
            whole = (cr * re - ci * im).reshape(-1, d.order).sum(axis=1)
            acc[t] = (whole + ((1 << d.mix_shift) >> 1)) >> d.mix_shift
        elif d.real:
            acc[t] = re
        else:
            acc[t] = np.stack([re, im], axis=1).reshape(-1)
    return acc


def cores_of(mapped, name):
    """(core, images, neurons) of the cores of a population, by their first neurons."""
    where, slot = mapped.slots[name]
    found = []
    for tile in dict.fromkeys(where.tolist()):
        mine = np.flatnonzero(where == tile)
        assert (slot[mine] == np.arange(len(mine))).all()
        assert (mine == mine[0] + np.arange(len(mine))).all()
        found.append((mapped.mesh.cores[tile], mapped.images[tile], mine))
    return found


KINDS = [
    ("s4d", {"order": 3, "width": 7}, 1),
    ("s4d", {"order": 5, "width": 5, "stochastic": True, "state_bits": 9}, 4),
    ("s4d", {"order": 2, "width": 6, "real": True, "pole_bits": 9, "mix_bits": 5}, 2),
    ("s4d", {"order": 1, "width": 1, "real": True, "state_bits": 18, "pole_bits": 3}, 64),
    ("gated", {"states": 7, "stochastic": True, "pole_bits": 12}, 4),
    ("gated", {"states": 5, "real": True, "state_bits": 5}, None),
    ("gated", {"states": 1}, None),
]


@pytest.mark.parametrize("cores", [1, 2, 3, 5])
@pytest.mark.parametrize(("model", "options", "lanes"), KINDS, ids=str)
def test_images_are_the_populations_states(model, options, lanes, cores):
    seed = 3
    if model == "s4d":
        program, name = s4d_program(seed, layers=1, **options), "ssm0"
    else:
        program, name = gated_program(seed, **options), "ssm"
    p = program.population(name)
    d, others = p.dendrites, len(kinds_of(program)) - 1
    # As many cores as the others leave; loads could give them more.
    mapped = map_program(program, Target(cores=cores + others, neurons=64, state_lanes=lanes))
    pieces = cores_of(mapped, name)
    blocks = [len(mine) // d.neurons for _, _, mine in pieces]
    assert len(pieces) <= min(cores, p.size // d.neurons)
    assert sum(blocks) == p.size // d.neurons
    assert max(blocks) - min(blocks) <= 1
    rng = np.random.default_rng(seed)
    top = 1 << (d.value_bits - 1)
    u = rng.integers(-top, top, (12, p.size))
    wanted = direct_sums(d, p.arrays, u)
    assert np.abs(wanted).max() > 1
    for core, images, mine in pieces:
        params = core.dendrites
        assert isinstance(params, DiagonalParams)
        assert params.diagonal == d
        assert params.lanes == min(lanes or 1, 1 << (d.order - 1).bit_length())
        assert core.acc_bits == d.acc_bits
        assert core.slots == len(mine)
        counts = {memory: len(items) for memory, items in images.items()}
        for memory, (count, bits) in params.items(core.slots, core.axons).items():
            assert counts[memory] == count
            assert all(0 <= item < 1 << bits for item in images[memory])
        bits = (core.slots - 1).bit_length()
        valid = [x for x in images[Memory.POINTER] if x]
        assert sorted(valid) == [slot | 1 << bits for slot in range(core.slots)]
        plain = PlainStates(params, images, core.slots)
        for t in range(len(u)):
            plain.u = u[t, mine].tolist()
            assert plain.sums() == wanted[t, mine].tolist(), t


def test_states_get_the_cores_that_their_cycles_deserve():
    program = s4d_program(1, order=16, width=12, layers=1)
    for cores, states in ((2, 1), (3, 2), (4, 3)):
        mapped = map_program(program, Target(cores=cores))
        assert len(cores_of(mapped, "ssm0")) == states


PROGRAMS = [
    lambda seed: s4d_program(seed, order=3),
    lambda seed: s4d_program(seed, order=1, width=3, real=True, changes=True),
    lambda seed: gated_program(seed, stochastic=True),
    lambda seed: gated_program(seed, real=True, states=5, shared=True),
    lambda seed: gated_program(seed, changes=True, width=3),
]


@pytest.mark.parametrize("cores", [None, 9, 14])
@pytest.mark.parametrize("which", range(len(PROGRAMS)))
def test_every_mapping_computes_the_same(which, cores):
    program = PROGRAMS[which](which)
    events = random_values(which, program, 2, 12)
    check(program, events, Target(cores=cores, lanes=2, state_lanes=2))


def spiking(program, name):
    """The Program with that population sending spikes."""
    populations = []
    for p in program.populations:
        if p.name == name:
            fields = p.fields | {"emit": np.full(p.size, int(Emit.SPIKE))}
            p = replace(p, fields=fields, payload_scale=1.0)
        populations.append(p)
    return replace(program, populations=tuple(populations))


def echoing(program, name, source):
    """The Program with a delay of 1 at the right port of a gate, or into states."""
    size = program.population(name).size
    port = "right" if name == "gate" else ""
    kept = [q for q in program.projections if (q.target, q.port) != (name, port)]
    return replace(program, projections=(*kept, one_to_one(source, name, size, port=port, delay=1)))


OTHERS = [
    spiking(s4d_program(5, order=2, width=5), "enc"),
    spiking(gated_program(6), "drive"),
    echoing(gated_program(7, width=4), "gate", "gate"),
    echoing(s4d_program(8, order=2, width=3), "ssm0", "mix1"),
]


@pytest.mark.parametrize("cores", [None, 10])
@pytest.mark.parametrize("which", range(len(OTHERS)))
def test_spikes_and_recurrent_values_reach_states(which, cores):
    events = random_values(which, OTHERS[which], 2, 10)
    check(OTHERS[which], events, Target(cores=cores, lanes=4))


@pytest.mark.parametrize("which", [0, 1, 2, 4])
def test_states_are_restored_into_any_mapping(which):
    program = PROGRAMS[which](which)
    events = random_values(which, program, 2, 12)
    whole = Golden(program).run(events)
    mapped = map_program(program, Target(cores=9, lanes=2, state_lanes=4))
    saved = Golden(program).run(events[:, :5]).snapshot()
    words = encode(mapped, events[:, 5:], probe=True, start=saved)
    answer = np.array(Fabric(mapped).run(words), dtype=np.uint64)
    decoded = decode(mapped, answer, 7, probe=True, start=True)
    assert decoded.errors == ()
    np.testing.assert_array_equal(decoded.outputs, whole.outputs[:, 5:])
    for name, states in whole.snapshot().items():
        for key, value in states.items():
            np.testing.assert_array_equal(decoded.probes[name][key], value, f"{name} {key}")


def test_each_population_has_cores_of_its_own():
    program = s4d_program(1)
    assert [kind.populations for kind in kinds_of(program)] == [(0, 2, 4, 5), (1,), (3,)]
    with pytest.raises(UserError) as caught:
        map_program(program, Target(cores=2))
    assert str(caught.value) == (
        "cores: 3 needed, 2 available; by kind: 1 event-driven (enc, mix0, mix1, dec); 1 "
        "state-space (ssm0); 1 state-space (ssm1); use more cores (--cores 3)"
    )
    assert [k.describe(gated_program(1)) for k in kinds_of(gated_program(1))][1:] == [
        "state-space (ssm)",
        "gate (gate)",
    ]


@pytest.mark.parametrize("both", [False, True])
def test_ports_of_gates(both):
    """A source may feed either port, or both: a square."""
    program = gated_program(2, width=6)
    if both:
        kept = [q for q in program.projections if q.target != "gate"]
        into = [one_to_one("left", "gate", 6, port) for port in ("left", "right")]
        program = replace(program, projections=(*kept, *into))
    mapped = check(program, random_values(2, program, 2, 8), Target(cores=5, lanes=2))
    shown = [c for c in mapped.stats["cores"] if c["dendrites"] == "gate"]
    pieces = cores_of(mapped, "gate")
    assert len(shown) == len(pieces)
    for core, images, mine in pieces:
        assert core.dendrites == GateParams(gate=program.population("gate").dendrites)
        bits = (core.slots - 1).bit_length()
        codes = [3] if both else [1, 2]
        valid = sorted(x for x in images[Memory.POINTER] if x)
        assert valid == sorted(slot | code << bits for slot in range(len(mine)) for code in codes)


@pytest.mark.parametrize("shared", [False, True])
def test_tables_stand_once(shared):
    program = gated_program(4, shared=shared)
    mapped = check(program, random_values(4, program, 1, 6), Target())
    (tile,) = set(mapped.slots["enc"][0].tolist())
    core, images = mapped.mesh.cores[tile], mapped.images[tile]
    names = ["enc", "drive", "y", "left", "right", "dec"]
    assert core.tables == ((0,) * 6 if shared else (0, 0, 0, 0, 1, 0))
    tables = [program.population(names[k]).arrays["table"] for k in ((2,) if shared else (2, 4))]
    assert images[Memory.TABLE] == (np.concatenate(tables) & 255).tolist()
    assert core.items[Memory.TABLE] == (len(tables) * 64, 8)
    assert core.table_bits == 6
    for other, contents, _ in cores_of(mapped, "ssm") + cores_of(mapped, "gate"):
        assert (other.table_bits, other.tables) == (0, ())
        assert Memory.TABLE not in contents


def test_only_cores_that_send_changes_remember_them():
    program = s4d_program(1, changes=True)
    mapped = map_program(program, Target(cores=4))
    for core in filter(None, mapped.mesh.cores):
        assert core.changes
        assert core.emission_bits == program.formats.payload_bits
        assert core.sent_bits == 7
    mapped = map_program(s4d_program(1), Target(cores=4))
    assert not any(core.changes for core in mapped.mesh.cores if core)


def test_limits_of_a_core():
    program = s4d_program(1, order=3, width=7, layers=1, inputs=1, outputs=1)
    item = 2 * (18 + 18) + 3
    for limits, cores, pieces in (
        ({"neurons": 40}, 2, [7]),
        ({"neurons": 6}, 5, [3, 4]),
        ({"neurons": 3}, 8, [2, 2, 3]),
        ({"synapse_bits": 7 * (3 * item + 4)}, 2, [7]),
        ({"synapse_bits": 4 * (3 * item + 4)}, 3, [3, 4]),
    ):
        mapped = map_program(program, Target(cores=cores, lanes=1, **limits))
        assert sorted(len(mine) for _, _, mine in cores_of(mapped, "ssm0")) == pieces, limits
        if "synapse_bits" in limits:
            most = max(c["synapse_bits"] for c in mapped.stats["cores"])
            assert most <= limits["synapse_bits"]
    complex_ = gated_program(1, states=4, width=2, inputs=1, outputs=1)
    for chosen, limits, message in (
        (complex_, {"neurons": 1}, "ssm: a complex state has 2 neurons, 1 slots available; allow "
         "more in a core (--neurons)"),
        (complex_, {"synapse_bits": 40}, "ssm: a complex state takes 43 bits of synapse memory, 40 "
         "available; allow more in a core (--synapse-bits)"),
        (program, {"synapse_bits": 225}, f"ssm0: a neuron takes {3 * item + 1} bits of synapse "
         "memory, 225 available; allow more in a core (--synapse-bits)"),
        (program, {"synapse_bits": 228}, "core at tile 19: 233 bits of synapse memory needed, 228 "
         "available (most for ssm0); use more cores (--cores) or fewer pole bits (--pole-bits)"),
        (program, {"neurons": 5, "cores": 4}, "cores: 5 needed, 4 available; by kind: 3 "
         "event-driven (enc, mix0, dec); 2 state-space (ssm0); use more cores (--cores 5)"),
    ):  # fmt: skip
        with pytest.raises(UserError) as caught:
            map_program(chosen, Target(**{"cores": 40, "lanes": 1, **limits}))
        assert re.sub(r"tile \d+", "tile 19", str(caught.value)) == message


def test_sums_that_no_accumulator_holds():
    program = s4d_program(1, order=600, width=1, layers=1, mix_shift=0, state_bits=18)
    with pytest.raises(UserError) as caught:
        map_program(program, Target())
    assert str(caught.value) == (
        "core of ssm0: accumulators need 46 bits, 40 available; "
        "use fewer state bits (--state-bits) or smaller payloads (--payload-bits)"
    )


def test_lanes_are_clipped_to_the_order():
    program = s4d_program(1, order=5, width=3, layers=1)
    for wanted, lanes in ((None, 1), (1, 1), (4, 4), (8, 8), (64, 8)):
        mapped = map_program(program, Target(state_lanes=wanted))
        (core, images, _), = cores_of(mapped, "ssm0")  # fmt: skip
        assert core.dendrites.lanes == lanes
        assert len(images[Memory.SYNAPSE]) == 3 * -(-5 // lanes) * lanes
    for wrong in (0, 3, 128):
        with pytest.raises(UserError) as caught:
            map_program(program, Target(state_lanes=wrong))
        assert str(caught.value) == f"state_lanes must be a power of two in 1..64, not {wrong}"


def test_every_state_has_an_address():
    """More states than anything else in the core."""
    program = s4d_program(1, order=1024, width=32, layers=1, changes=True)
    mapped = map_program(program, Target())
    ((core, _, _),) = cores_of(mapped, "ssm0")
    assert core.items[Memory.SYNAPSE][0] == 1 << 15
    assert core.state_items == 32 + (1 << 15) + 32
    assert (core.state_items - 1).bit_length() <= mapped.mesh.flit.chunk_bits - 3
    assert mapped.mesh.flit.config_bits == 19


def test_values_may_be_wider_than_payloads():
    program = s4d_program(4, layers=1)
    wide = tuple(
        replace(p, dendrites=replace(p.dendrites, value_bits=11)) if p.dendrites else p
        for p in program.populations
    )
    encoder = replace(wide[-1], fields=wide[-1].fields | {"emit": wide[-1].fields["emit"] * 0 + 2})
    program = replace(program, populations=(*wide[:-1], encoder))
    mapped = check(program, random_values(4, program, 1, 5), Target(cores=3))
    assert mapped.mesh.flit.value_bits == 11


def test_stats_name_states_bits_and_cycles():
    program = s4d_program(1, order=5, width=4, layers=1, stochastic=True, changes=True)
    mapped = map_program(program, Target(state_lanes=4))
    shown = next(c for c in mapped.stats["cores"] if c["dendrites"] == "states")
    core = mapped.mesh.cores[shown["tile"]]
    wanted = {
        "weight_bits": 18, "states": 20, "order": 5, "complex": True, "state_lanes": 4,
        "mix_bits": 18, "multipliers": 4 * 6, "memory_bits": 4 * 2 * 4 * (2 * 16 + 32) + 4 * 7,
        "synapse_bits": 4 * 2 * 4 * 75 + shown["axons"] * 3,
    }  # fmt: skip
    assert {key: shown[key] for key in wanted} == wanted
    assert step_cycles(core) == core.update_cycles > shown["update_cycles"]
    mapped = map_program(gated_program(1, changes=True), Target())
    shown = next(c for c in mapped.stats["cores"] if c["dendrites"] == "gate")
    assert shown["memory_bits"] == 5 * 2 * 7
    assert shown["multipliers"] == 1
    assert shown["weight_bits"] == 0


def test_programs_that_break_rules_are_refused():
    program = s4d_program(1, layers=1)
    other = replace(program, projections=program.projections[1:])
    with pytest.raises(UserError, match="enc"):
        map_program(replace(other, populations=other.populations[1:]), Target())
    changing = tuple(
        replace(p, fields=p.fields | {"emit": p.fields["emit"] | Emit.DELTA})
        if p.name == "enc"
        else p
        for p in program.populations
    )
    with pytest.raises(UserError, match="ssm0: enc sends changes, which nothing adds up"):
        map_program(replace(program, populations=changing), Target())


def test_a_gate_is_cut_anywhere():
    program = gated_program(1, width=7)
    mapped = map_program(program, Target(cores=20, neurons=3, lanes=1))
    assert [len(mine) for _, _, mine in cores_of(mapped, "gate")] == [3, 2, 2]
    assert isinstance(program.population("gate").dendrites, Gate)
    assert Golden(program).run(random_values(1, program, 1, 3)).outputs.any()
