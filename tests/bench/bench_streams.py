"""What bit-streams cost the examples in accuracy, in the golden model on all test samples.

First by generator and length, with the error of each stochastic layer's sums relative to them
(nervure compile prints the same for the calibration input). Then by margin at the full length,
beside fixed lengths: the mean bits of a sum, and the share of samples decided as with exact sums.
"8-bit": weights moved at random by up to half a step and quantised to 8 bits, mean of 5 draws.

Example: python tests/bench/bench_streams.py
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from codesign.settings import load_settings
from hdl.params.sc.dense import Streams
from mapping.importers.nir import load_nir
from mapping.program import Program
from mapping.quantise import quantise
from mapping.readout import decide
from mapping.streams import with_run_time
from sim.golden.network import Golden
from sim.stimulus import Stimulus, quantise_inputs, read_stimulus, real_outputs
from sim.streams import stream_errors

EXAMPLES = Path(__file__).parents[2] / "examples"
DRAWS = 5


def load(name: str, draw: int | None = None, **overrides) -> tuple[Program, Stimulus]:
    """An example's Program and test data; with `draw`, its weights moved at random."""
    folder = EXAMPLES / name
    settings = load_settings(folder / "nervure.toml", overrides)
    graph = load_nir(next(folder.glob("*.nir")), settings.options)
    if draw is not None:
        rng, moved = np.random.default_rng(draw), []
        for c in graph.connections:
            matrix = c.matrix.copy()
            used = matrix.data != 0
            step = np.abs(matrix.data[used]).min()
            matrix.data = matrix.data + used * rng.uniform(-0.5, 0.5, matrix.data.shape) * step
            moved.append(replace(c, matrix=matrix))
        graph = replace(graph, connections=tuple(moved))
    data = read_stimulus(folder / "calibration.npz")
    program, _ = quantise(graph, data.inputs, settings.quantisation, lengths=data.lengths)
    return program, read_stimulus(folder / "test.npz")


def run(program: Program, test: Stimulus) -> tuple[float, float, np.ndarray]:
    """Accuracy, mean bits of a sum, decisions."""
    ran = Golden(program).run(quantise_inputs(program, test), test.lengths, threads=2)
    decided = decide(program.readout, real_outputs(program, ran.outputs), test.lengths)
    sums = sum(p.size for p in program.populations if isinstance(p.dendrites, Streams))
    bits = sum(int(b.sum()) for b in ran.stream_bits.values())
    return (decided == test.labels).mean(), bits / int(test.lengths.sum()) / sums, decided


def with_margin(program: Program, margin: int, first: int) -> Program:
    """The full length, ended where a sum has decided, from `first` bits on."""
    made = [
        replace(p, dendrites=replace(p.dendrites, margin=margin, first=first.bit_length() - 1))
        if isinstance(p.dendrites, Streams) else p
        for p in program.populations
    ]  # fmt: skip
    return replace(program, populations=tuple(made))


def lengths() -> None:
    """Accuracy by generator and length."""
    print("| example | generator | length | error of its layers | accuracy |")
    print("|---|---|---|---|---|")
    for name, rows in {
        "vowels": (("sobol", (16, 64, 256, 1024)), ("lfsr", (16, 64, 256))),
        "digits": (("sobol", (4, 8)), ("lfsr", (4,))),
    }.items():
        for generator, each in rows:
            compiled, test = load(name, engine="stochastic", generator=generator)
            for length in each:
                program = with_run_time(compiled, length)
                events = quantise_inputs(program, test)[:60]
                errors = stream_errors(program, events, test.lengths[:60])
                shown = " ".join(f"{e.relative_error:.3f}" for e in errors)
                print(
                    f"| {name} | {generator} | {length} | {shown} | {run(program, test)[0]:.3f} |"
                )


def margins() -> None:
    """Bits and agreement by margin."""
    print("\n| model | streams | bits | accuracy | alike |")
    print("|---|---|---|---|---|")
    only = {"engine": {"lif": "stochastic"}, "stream_length": {"lif": 1024}}
    drawn = range(1, DRAWS + 1)
    every, wide = {"engine": "stochastic"}, {"engine": "stochastic", "weight_bits": 8}
    for name, example, draws, options, fixed, cut in (
        ("digits", "digits", (None,), every, (2, 4, 8), ((1, 2), (2, 2), (8, 2))),
        ("recurrent", "recurrent", (None,), every, (4, 8, 16), ((2, 4), (4, 4), (8, 4))),
        ("8-bit digits", "digits", drawn, wide, (8, 16, 64), ((1, 2), (2, 4), (8, 4))),
        ("8-bit recurrent", "recurrent", drawn, wide, (8, 16, 64), ((8, 4), (8, 8))),
        ("vowels, lif only", "vowels", (None,), only, (32, 128), ((4, 4), (8, 4))),
    ):
        rows: dict[str, list[tuple[float, float, float]]] = {}
        for draw in draws:
            program, test = load(example, draw, **options)
            exact = run(program, test)[2]
            settings = {f"{n} bits": with_run_time(program, n) for n in fixed}
            for m, first in cut:
                settings[f"margin {m} from {first} bits on"] = with_margin(program, m, first)
            for what, made in settings.items():
                right, bits, decided = run(made, test)
                rows.setdefault(what, []).append((bits, right, (decided == exact).mean()))
        for what, found in rows.items():
            bits, right, alike = np.mean(found, axis=0)
            print(f"| {name} | {what} | {bits:.1f} | {right:.3f} | {alike:.3f} |")


if __name__ == "__main__":
    lengths()
    margins()
