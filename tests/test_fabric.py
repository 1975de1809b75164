"""Whole fabrics, Verilated, against golden: odd sizes and meshes, and extreme programs."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.neuron import Emit, Reset
from mapping.program import Formats, Input, Program
from sim.rtl import Stalls
from tests.kit import FULL, random_events, random_program
from tests.kit_fabric import all_to_all, build, garbage, population

STALLS = (None, Stalls(on_input=0.4, on_output=0.6, seed=5))

#: Sizes of the levels (1, 2, 3, no powers of two), a seed with healthy activity, and the mesh.
SHAPES = [
    ((1, 1), 122, {"cores": 1, "lanes": 1}),
    ((2, 3, 1), 6, {"cores": 2, "lanes": 1, "width": 2, "height": 1}),
    ((3, 2, 3), 7, {"cores": 2, "lanes": 2, "width": 1, "height": 2}),
    ((1, 5, (2, 1), 3), 132, {"cores": 3, "lanes": 1, "width": 3, "height": 2}),
    ((5, 7, 6, 11), 109, {"cores": 4, "lanes": 2, "width": 3, "height": 3}),
]


@pytest.mark.parametrize(("sizes", "seed", "target"), SHAPES, ids=str)
def test_odd_sizes_and_meshes(sizes, seed, target, tmp_path):
    program = random_program(seed, sizes, cuba=len(sizes) == 3, emit=Emit.SPIKE)
    built = build(program, tmp_path, **target)
    inputs = random_events(seed, program, 5, 9, rate=0.4)
    for stalls in STALLS:
        built.check(inputs, lengths=np.array([9, 0, 1, 9, 2]), stalls=stalls, where=f"{seed}")


@pytest.mark.parametrize("reset", list(Reset))
def test_each_reset(reset, tmp_path):
    program = random_program(40 + reset, (6, 9, 5), reset=reset, emit=Emit.SPIKE, uniform=False)
    built = build(program, tmp_path, cores=2, lanes=2, interval=2 + reset)
    inputs = random_events(41, program, 3, 15, rate=0.5)
    built.check(inputs, stalls=STALLS[1], where=f"reset {reset}")


def test_rows_without_synapses_and_neurons_nobody_hears(tmp_path):
    """Input 0 and hidden neuron 0 have no targets, one hidden population neither targets nor
    output."""
    program = random_program(51, (4, (5, 3), 4), recurrent=False, skip=False, emit=Emit.SPIKE)
    kept = []
    for p in program.projections:
        if p.source == "pop1_1":
            continue
        first = int(p.indptr[1])
        kept.append(
            replace(
                p,
                indptr=np.concatenate([[0], p.indptr[1:] - first]),
                indices=p.indices[first:],
                weights=p.weights[first:],
            )
        )
    program = replace(program, projections=tuple(kept))
    for index in ("none", "word", "lane"):
        built = build(program, tmp_path / index, cores=2, lanes=2, index=index)
        inputs = random_events(52, program, 3, 8, rate=0.6)
        inputs[0] = 1
        built.check(inputs, stalls=STALLS[1], where=index)


def everybody_fires(neurons: int, inputs: int) -> Program:
    """Two levels, both outputs, both feeding themselves and each other; all fire in each step."""
    formats = Formats(membrane_bits=12)
    draw = np.random.default_rng(neurons)

    def weights(rows: int, columns: int) -> np.ndarray:
        return draw.integers(1, 4, (rows, columns))

    return Program(
        name="all",
        formats=formats,
        inputs=(Input(name="in", size=inputs),),
        populations=(
            population("a", neurons, 1, formats, bias=7, membrane_decay=1000),
            population("b", neurons, 2, formats, bias=7, membrane_decay=1000),
        ),
        projections=(
            all_to_all("in", "a", weights(inputs, neurons)),
            all_to_all("a", "b", weights(neurons, neurons)),
            all_to_all("in", "b", weights(inputs, neurons)),
            all_to_all("a", "a", weights(neurons, neurons), delay=1),
            all_to_all("b", "b", weights(neurons, neurons), delay=1),
            all_to_all("b", "a", weights(neurons, neurons), delay=1),
        ),
        outputs=("a", "b"),
    )


@pytest.mark.parametrize(
    ("cores", "width", "height", "lanes"), [(2, 1, 2, 1), (9, 3, 3, 2)], ids=["1x2", "3x3"]
)
def test_congestion_ends(cores, width, height, lanes, tmp_path):
    """All inputs and all neurons fire in each step, and the host hardly listens."""
    program = everybody_fires(9 * lanes, 11)
    built = build(program, tmp_path, cores=cores, width=width, height=height, lanes=lanes)
    inputs = np.ones((2, 5, 11), np.uint8)
    for stalls in (None, Stalls(on_output=0.95, seed=1), Stalls(on_input=0.9, seed=2)):
        built.check(inputs, stalls=stalls, where=f"{cores} cores")


@pytest.mark.parametrize("index", ["none", "lane", "word"][: 2 + FULL])
def test_values_at_their_ends(index, tmp_path):
    """Payloads, weights, exponents, shifts, biases and resets at the ends of their ranges;
    all memories are loaded through the host port."""
    formats = Formats(membrane_bits=20, current_bits=18, payload_bits=6, decay_bits=7)
    draw = np.random.default_rng(60)
    ends = np.array([-8, -8, 7, 7, -1, 0])

    def synapses(source, target, rows, columns, exponent, delay=0):
        weights = draw.choice(ends, (rows, columns))
        weights[:2] = [[-8], [7]]
        return all_to_all(source, target, weights, exponent=exponent, delay=delay, bits=4)

    low, top = -(1 << 19), (1 << 19) - 1
    value = {"emit": int(Emit.VALUE), "membrane_decay": 128, "current_decay": 128}
    state = value | {"emit": int(Emit.STATE), "reset": int(Reset.SUBTRACT)}
    program = Program(
        name="ends",
        formats=formats,
        inputs=(Input(name="in", size=5, graded=True),),
        populations=(
            population("a", 6, 1, formats, **value, bias=low, value_shift=14, shift=15),
            population("b", 3, 1, formats, **value, bias=top, value_shift=0),
            population(
                "c", 5, 1, formats, threshold=low, reset_value=low, reset=int(Reset.SUBTRACT),
                membrane_decay=127, current_decay=1, shift=1,
            ),
            population(
                "d", 4, 1, formats, threshold=top - 1, reset_value=top, reset=int(Reset.DELAYED),
                membrane_decay=128, current_decay=128, shift=4,
            ),
            population("e", 7, 2, formats, **state, value_shift=31),
        ),
        projections=(
            *(synapses("in", name, 5, n, 3) for name, n in zip("abcd", (6, 3, 5, 4), strict=True)),
            synapses("a", "e", 6, 7, 0),
            synapses("b", "e", 3, 7, 7),
            synapses("c", "e", 5, 7, 15),
            synapses("d", "e", 4, 7, 1),
            synapses("a", "b", 6, 3, 15, delay=1),
        ),
        outputs=("e", "a"),
        readout="max",
    )  # fmt: skip
    built = build(
        program, tmp_path, contents=lambda mapped: garbage(mapped, 3),
        cores=3, lanes=4, update_lanes=2, index=index,
    )  # fmt: skip
    inputs = draw.choice([-32, 31, -32, 31, 0, 1, -1], (3, 10, 5))
    inputs[0] = -32
    built.check(inputs, stalls=STALLS[1], load=True, where=index)


def test_binary_weights_with_gaps(tmp_path):
    """Binary rows are full only within a population: the other slots of a word must not move."""
    program = random_program(74, (5, (3, 6), (7, 2)), weight_bits=1, density=1.0, emit=Emit.SPIKE)
    for lanes in (1, 4):
        built = build(program, tmp_path / str(lanes), cores=2, lanes=lanes)
        inputs = random_events(71, program, 3, 12, rate=0.5)
        built.check(inputs, stalls=STALLS[1], where=f"{lanes} lanes")
