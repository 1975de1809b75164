import dataclasses

import numpy as np
import pytest

from hdl.params.neuron import FIELDS
from hdl.params.noc import Memory
from mapping.images import Synapses, acc_bits, encode_rows
from mapping.mapper import Target, map_program
from mapping.program import Formats
from tests.kit import random_program
from tests.mapping.fabric import Core, unpack, walk


def dense(projection, sources, targets):
    """The matrix of a projection, shifted by its exponent."""
    out = np.zeros((sources, targets), dtype=int)
    rows = np.repeat(np.arange(sources), np.diff(projection.indptr))
    out[rows, projection.indices] = projection.weights << projection.exponent
    return out


def sizes_of(program):
    return {p.name: p.size for p in (*program.inputs, *program.populations)}


def from_images(mapped):
    """Matrices (source, target, late) read from images by following routes."""
    program, flit = mapped.program, mapped.mesh.flit
    cores = [
        Core(p, i) if p is not None else None
        for p, i in zip(mapped.mesh.cores, mapped.images, strict=True)
    ]
    owner = {}
    for name, (where, slots) in mapped.slots.items():
        for n, key in enumerate(zip(where.tolist(), slots.tolist(), strict=True)):
            owner[key] = name, n
    sizes = sizes_of(program)
    matrices = {}

    def follow(source, number, late, tag, rows, columns, x, y):
        for cx, cy in walk(rows, columns, x, y, flit.width, flit.height)[0]:
            if cy < 0:
                assert program.outputs
                base = 0
                for name in program.outputs:
                    if name == source:
                        assert tag == base + number
                        outputs.add(tag)
                    base += sizes[name]
                continue
            tile = cy * flit.width + cx
            for slot, weight in cores[tile].row(tag):
                if (tile, slot) not in owner:
                    assert cores[tile].params.weight_bits == 1, "a weight where nobody lives"
                    continue
                target, n = owner[tile, slot]
                shape = sizes[source], sizes[target]
                matrix = matrices.setdefault((source, target, late), np.zeros(shape, int))
                assert matrix[number, n] == 0
                matrix[number, n] = weight

    outputs = set()
    for routes, late in ((mapped.input_routes, 0), (mapped.delayed_routes, 1)):
        inputs = [(i.name, n) for i in program.inputs for n in range(i.size)]
        for (name, n), entries in zip(inputs, routes, strict=bool(routes)):
            for route in entries:
                follow(name, n, late, *route, 0, 0)
    for (tile, slot), (name, n) in owner.items():
        entries = mapped.mesh.entries[tile]
        for k in range(entries):
            word = mapped.images[tile][Memory.ROUTE][slot * entries + k]
            tag, rows, columns, last, valid = unpack(
                word, flit.tag_bits, flit.rows_bits, flit.columns_bits, 1
            )
            if valid:
                follow(name, n, 0, tag, rows, columns, tile % flit.width, tile // flit.width)
            if last or not valid:
                break
    assert outputs == set(range(program.output_size))
    return matrices


def check_matrices(program, mapped):
    sizes = sizes_of(program)
    found = from_images(mapped)
    inputs = {i.name for i in program.inputs}
    wanted = {}
    for p in program.projections:
        key = p.source, p.target, p.delay if p.source in inputs else 0
        matrix = dense(p, sizes[p.source], sizes[p.target])
        wanted[key] = wanted.get(key, 0) + matrix
    wanted = {key: matrix for key, matrix in wanted.items() if matrix.any()}
    assert set(found) == set(wanted)
    for key, matrix in wanted.items():
        assert np.array_equal(found[key], matrix), key


@pytest.mark.parametrize("index", ["auto", "none", "word", "lane"])
@pytest.mark.parametrize("lanes", [1, 2, 4, 16])
@pytest.mark.parametrize("cores", [1, 2, 4, 9])
def test_images_hold_every_projection(cores, lanes, index):
    for seed, bits in enumerate((1, 2, 4)):
        program = random_program(seed, (9, (11, 6), 13, 5), weight_bits=bits, density=0.3)
        mapped = map_program(program, Target(cores=cores, lanes=lanes, index=index))
        check_matrices(program, mapped)


def test_binary_projections_next_to_others():
    a, b = (random_program(4, (9, 11, 7), weight_bits=bits) for bits in (1, 4))
    mixed = (*a.projections[:2], *b.projections[2:])
    program = dataclasses.replace(a, projections=mixed)
    for cores in (1, 3):
        mapped = map_program(program, Target(cores=cores, lanes=4))
        check_matrices(program, mapped)


def test_binary_weights_take_one_bit_where_rows_are_full():
    program = random_program(0, (8, 16, 16), weight_bits=1, recurrent=False, skip=False)
    mapped = map_program(program, Target(cores=2, lanes=4))
    assert {c["weight_bits"] for c in mapped.stats["cores"]} == {1}


def test_parallel_projections_are_summed():
    program = random_program(1, (8, 12, 6), exponents=2, recurrent=False, skip=False)
    first = program.projections[0]
    twin = dataclasses.replace(first, weights=first.weights[::-1], exponent=first.exponent + 1)
    program = dataclasses.replace(program, projections=(*program.projections, twin))
    check_matrices(program, map_program(program, Target(lanes=4)))


def test_auto_takes_the_smallest_area_times_time():
    for density in (0.02, 0.1, 0.5, 1.0):
        program = random_program(3, (40, 40, 40), density=density)
        cores = {
            index: map_program(program, Target(lanes=4, index=index)).stats["cores"][0]
            for index in ("auto", "none", "word", "lane")
        }
        cost = {i: c["synapse_bits"] * c["words_per_event"] for i, c in cores.items()}
        assert cost["auto"] == min(cost.values())
    assert cores["auto"]["index"] in ("none", "word")


def test_auto_gives_way_to_a_limit():
    gave_way = False
    for density in (0.1, 0.2, 0.3, 0.5):
        program = random_program(3, (40, 40, 40), density=density)
        bits = {
            index: map_program(program, Target(lanes=4, index=index)).stats["cores"][0][
                "synapse_bits"
            ]
            for index in ("auto", "none", "word", "lane")
        }
        limit = min(bits.values())
        tight = map_program(program, Target(lanes=4, synapse_bits=limit)).stats["cores"][0]
        assert tight["synapse_bits"] == limit
        gave_way |= bits["auto"] > limit
    assert gave_way


def test_synapse_bits_are_those_of_the_images():
    program = random_program(3, (20, 30, 10), density=0.2)
    for index in ("none", "word", "lane"):
        mapped = map_program(program, Target(lanes=4, index=index))
        core, images = mapped.mesh.cores[0], mapped.images[0]
        bits = len(images[Memory.SYNAPSE]) * core.entry_bits
        bits += len(images.get(Memory.SYNAPSE_HEADER, [])) * core.header_bits
        bits += len(images.get(Memory.POINTER, [])) * core.pointer_bits
        assert mapped.stats["cores"][0]["synapse_bits"] == bits


def test_accumulators_are_exactly_wide_enough():
    def width(weights, values=(0, 1)):
        n = len(weights)
        s = Synapses(
            axon=np.arange(n),
            slot=np.zeros(n, dtype=int),
            weight=np.array(weights, dtype=int),
            exponent=np.zeros(n, dtype=int),
        )
        return acc_bits(s, 1, np.full(n, values[1]), np.full(n, values[0]))

    assert width([100, 27]) == 8
    assert width([100, 28]) == 9
    assert width([-100, -28]) == 8
    assert width([-100, -29]) == 9
    assert width([-100, 127]) == 8
    assert width([1], (-128, 127)) == 8
    assert width([-1], (-128, 127)) == 9  # -1 * -128 = 128
    assert width([]) == 2


def test_fields_that_all_share_leave_the_table():
    program = random_program(2, (8, 12, 6), uniform=True, recurrent=False, skip=False)
    mapped = map_program(program, Target(cores=2, lanes=2))
    for core in (c for c in mapped.mesh.cores if c is not None):
        table = set(core.table_fields)
        assert table.isdisjoint(core.shared)
        assert table | set(core.shared) == set(FIELDS)
    whole = [c for c in mapped.stats["cores"] if len(c["slots_by_population"]) == 1]
    for c in whole:
        assert mapped.mesh.cores[c["tile"]].record_bits == 0
        assert Memory.PARAMETER not in mapped.images[c["tile"]]


def test_wide_records_hold_every_field():
    formats = Formats(membrane_bits=32, current_bits=32, decay_bits=16)
    program = random_program(2, (8, 12, 6), uniform=False, formats=formats)
    mapped = map_program(program, Target(cores=2, lanes=2))
    assert max(c.record_bits for c in mapped.mesh.cores if c is not None) > 64
    for p in program.populations:
        where, slots = mapped.slots[p.name]
        for n in range(p.size):
            core = Core(mapped.mesh.cores[where[n]], mapped.images[where[n]])
            assert core.fields(slots[n]) == {name: p.fields[name][n] for name in FIELDS}


def test_an_axon_without_synapses_has_an_empty_row():
    s = Synapses(
        axon=np.array([2, 2]),
        slot=np.array([0, 5]),
        weight=np.array([3, -4]),
        exponent=np.array([0, 1]),
    )
    used = np.ones(8, dtype=bool)
    for index in ("word", "lane"):
        rows = encode_rows(s, 4, 4, used, 4, index)
        assert rows.count.tolist() == [0, 0, 2, 0]
        assert rows.words == 2
        assert rows.word_exponent.tolist() == [0, 1]
