"""The experts example: choices that integers keep, events that reach each core, sparse and dense.

Dense is the same file with config.k = 6. Run from the repository root:
python tests/bench/bench_experts.py [--rtl SAMPLES]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codesign.cost.cycles import activity, cycles
from codesign.settings import load_settings
from mapping.importers.experts import load_experts
from mapping.importers.torch_file import read_torch
from mapping.mapper import Target, map_program
from mapping.quantise import quantise
from mapping.readout import decide
from mapping.reference import simulate
from mapping.winners import winning
from sim.golden.network import Golden
from sim.stimulus import quantise_inputs, read_stimulus, real_outputs
from tests.kit_arrivals import Counted, expected

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rtl", type=int, default=0, help="samples to count in the RTL too")
    count = parser.parse_args().rtl
    settings = load_settings(EXAMPLES / "experts" / "nervure.toml", {})
    tensors = read_torch(EXAMPLES / "experts" / "model.pt")
    test, calibration = (
        read_stimulus(EXAMPLES / "vowels" / f"{name}.npz") for name in ("test", "calibration")
    )
    valid = np.arange(test.inputs.shape[1]) < test.lengths[:, None]
    graph = load_experts("experts.pt", settings.options, tensors)
    reference = simulate(graph, test.inputs, record=["moe.router"])
    right = decide("mean", reference.outputs, test.lengths) == test.labels
    print(f"float: {right.sum()} of {len(right)}")

    def made(graph, **changes):
        chosen = replace(settings.quantisation, **changes)
        return quantise(graph, calibration.inputs, chosen, lengths=calibration.lengths)[0]

    for bits in ((6, 6), (8, 6), (8, 8), (8, 10), (12, 12)):
        program = made(graph, weight_bits=bits[0], payload_bits=bits[1])
        values = quantise_inputs(program, test)
        found = Golden(program).run(values, test.lengths, record_state=True)
        answers = decide("mean", real_outputs(program, found.outputs), test.lengths)
        winners = program.population("moe.router").winners
        assert winners is not None
        mine, theirs = (
            winning(winners, membranes)[valid]
            for membranes in (found.state["moe.router"].membrane, reference.membranes["moe.router"])
        )
        print(
            f"golden, weights of {bits[0]} bits, values of {bits[1]}: "
            f"{(answers == test.labels).sum()} of {len(answers)}; "
            f"same expert in {(mine == theirs).all(-1).mean():.4f} of {len(mine)} frames"
        )
    for label, k in (("one of six", 1), ("dense", 6)):
        graph = load_experts("experts.pt", settings.options, tensors | {"config.k": np.array(k)})
        program = made(graph)
        mapped = map_program(program, Target(cores=9, lanes=settings.target.lanes))
        values = quantise_inputs(program, test)
        took = cycles(mapped, activity(program, values, test.lengths))
        arrived, sent = expected(mapped, values)
        share = (sent["moe.router"][valid] != 0).mean(0)
        print(f"{label}: share of frames by expert {' '.join(f'{s:.3f}' for s in share)}")
        print(f"  cycles a step {took.per_step:.1f}; events a frame, core by core:")
        for core in mapped.stats["cores"]:
            tile, names = core["tile"], ", ".join(core["slots_by_population"])
            here = arrived[..., tile][valid]
            line = f"  {core['x']},{core['y']} {here.mean():6.2f}  {names}"
            for e in range(6):
                if names == f"moe.experts.{e}.0":
                    idle = here[(sent["moe.router"][..., e] == 0)[valid]]
                    line += f"; {idle.sum()} in {len(idle)} frames without it"
            print(line)
        print(f"  all cores {arrived[valid].sum(-1).mean():.2f}, six experts "
              f"{sum(arrived[..., t][valid].mean() for t in _experts(mapped)):.2f}")  # fmt: skip
        if count:
            _count(mapped, values[:count], arrived[:count], sent, label)


def _experts(mapped) -> list[int]:
    return [int(mapped.slots[f"moe.experts.{e}.0"][0][0]) for e in range(6)]


def _count(mapped, values, arrived, sent, label) -> None:
    """Every frame as a sample of its own in the RTL."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Counted(mapped, Path(folder))
    frames = values.reshape(-1, 1, values.shape[2])
    outputs, found = counted.run(frames)
    wanted = arrived.reshape(len(frames), -1)
    idle = sum(
        int(found[:, t][(sent["moe.router"][: len(values), :, e] == 0).reshape(-1)].sum())
        for e, t in enumerate(_experts(mapped))
    )
    same = np.array_equal(outputs.reshape(len(frames), -1),
                          sent["dec"][: len(values)].reshape(len(frames), -1))  # fmt: skip
    print(
        f"  RTL, {len(frames)} frames, {label}: outputs golden's {same}, counts golden's "
        f"{np.array_equal(found, wanted)}, {found.sum()} events in all, {idle} to idle experts"
    )


if __name__ == "__main__":
    main()
