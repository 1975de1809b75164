"""Speed of the golden model's states: complex state updates a second, beside numpy and torch.

    python tests/bench/bench_ssm_golden.py [--python PATH] [--steps 1000] [--samples 64]

First a sequence of 100,000 steps in pieces, each starting from what the one before remembered: its
memory, and that its outputs are those of one run.

Then two layers of 256 complex states: "mixed", 4 neurons that sum 64 each (S4D), and "pairs", 512
neurons that are the states' parts (S5), behind the Linear layer that drives them. The golden model
does these layers bit for bit as the RTL: events in, rounding and saturation of states, sums,
updates of neurons, values out. The rivals do the recurrence and the sums alone, in a loop over the
steps, all samples at once: complex128 in numpy, complex64 in torch (PATH is a Python that has it;
without, it is left out). Figures are the best of five runs: of one core by processor time, of two
threads by the clock.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np  # noqa: E402

POLE_BITS, MIX_BITS, DRIVE, MIX_SHIFT = 15, 12, {"mixed": 18, "pairs": 16}, 12
INPUTS = 4
SHAPES = {"mixed": (4, 64), "pairs": (256, 1)}  # neurons or pairs, states of each


def poles(name: str) -> np.ndarray:
    """Poles of a layer's states, of which golden model and rivals use the same integers."""
    rng = np.random.default_rng(1)
    count = int(np.prod(SHAPES[name]))
    a = rng.uniform(0.9, 0.999, count) * np.exp(1j * rng.uniform(0, np.pi, count))
    return np.stack([a.real, a.imag], 1) * 2**POLE_BITS // 1


def mixes(name: str) -> np.ndarray:
    count = int(np.prod(SHAPES[name]))
    return np.random.default_rng(2).integers(-1 << MIX_BITS - 1, 1 << MIX_BITS - 1, (count, 2))


def inputs(name: str, samples: int, steps: int, seed: int = 3) -> np.ndarray:
    """Graded events [samples, steps, INPUTS]."""
    return np.random.default_rng(seed).integers(-40, 40, (samples, steps, INPUTS))


def driven(name: str, events: np.ndarray) -> np.ndarray:
    """What the events are to each state, complex [steps, samples, neurons or pairs, 1]."""
    gain = 2.0 ** (DRIVE[name] - POLE_BITS)
    u = events.swapaxes(0, 1) if name == "mixed" else events.swapaxes(0, 1) @ drive()
    return gain * (u if name == "mixed" else u[..., 0::2] + 1j * u[..., 1::2])[..., None]


def drive() -> np.ndarray:
    """Weights of the Linear layer before pairs [INPUTS, neurons]."""
    return np.random.default_rng(4).integers(-3, 4, (INPUTS, 2 * SHAPES["pairs"][0]))


def recurrence(name: str, events: np.ndarray) -> tuple:
    """Poles, weights and inputs of the layer in real numbers."""
    a = (poles(name) @ [1, 1j] / 2**POLE_BITS).reshape(SHAPES[name])
    c = (mixes(name) @ [1, 1j] / 2**MIX_SHIFT).reshape(SHAPES[name])
    return a, c, driven(name, events)


def least(run, threads: int) -> float:
    """Seconds: of one thread by processor time, of more by the clock."""
    clock, times = time.process_time if threads == 1 else time.perf_counter, []
    for _ in range(5):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)


def torch_times(samples: int, steps: int) -> dict[str, float]:
    """Seconds of each layer and number of threads."""
    import torch

    found = {}
    for name in SHAPES:
        a, c, u = recurrence(name, inputs(name, samples, steps))
        a, c = (torch.tensor(x, dtype=torch.complex64) for x in (a, c))
        u = torch.tensor(u, dtype=torch.float32 if name == "mixed" else torch.complex64)

        def run(name=name, a=a, c=c, u=u):
            x = torch.zeros((samples, *a.shape), dtype=torch.complex64)
            for t in range(steps):
                x = torch.addcmul(u[t].expand_as(x), a, x) if u.is_complex() else a * x + u[t]
                if name == "mixed":
                    (x * c).sum(-1).real  # noqa: B018

        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                found[f"{name} {threads}"] = least(run, threads)
    return found


def numpy_run(name: str, u: np.ndarray) -> np.ndarray:
    """What the layer gives in complex128 [steps, samples, neurons or pairs]."""
    a, c, u = recurrence(name, u)
    x = np.zeros((u.shape[1], *a.shape), np.complex128)
    out = np.empty((*u.shape[:3],), np.complex128)
    for t in range(len(u)):
        x *= a
        x += u[t]
        out[t] = (x * c).sum(-1) if name == "mixed" else x[..., 0]
    return out


def program(name: str):
    from hdl.params.neuron import FIELDS, Emit
    from hdl.params.ssm.diagonal import Diagonal
    from mapping.program import Formats, Input, Population, Program, Projection
    from tests.kit_stochastic import one_to_one

    mixed, (neurons, order) = name == "mixed", SHAPES[name]
    size = neurons if mixed else 2 * neurons
    d = Diagonal(
        order=order, mixed=mixed, state_bits=18, pole_bits=POLE_BITS, mix_bits=MIX_BITS,
        drive_shift=DRIVE[name], mix_shift=MIX_SHIFT if mixed else 0, value_bits=10,
    )  # fmt: skip
    arrays = {"pole": poles(name).astype(np.int64), "gain": np.zeros(neurons * order, np.int64)}
    if mixed:
        arrays["mix"] = mixes(name)

    def layer(name: str, level: int, emit: Emit, **more) -> Population:
        values = dict.fromkeys(FIELDS, 0) | {"emit": int(emit)}
        fields = {key: np.full(size, value) for key, value in values.items()}
        return Population(
            name=name, kind="Linear", size=size, level=level, fields=fields,
            membrane_scale=np.ones(size), **more,
        )  # fmt: skip

    populations = [layer("ssm", 2, Emit.STATE, dendrites=d, arrays=arrays)]
    projections = [one_to_one("in", "ssm", size)]
    if not mixed:
        rows = np.arange(INPUTS + 1) * size
        indices = np.tile(np.arange(size), INPUTS)
        weights = drive().reshape(-1)
        populations.insert(0, layer("drive", 1, Emit.VALUE))
        projections = [
            Projection(
                source="in", target="drive", indptr=rows, indices=indices, weights=weights,
                weight_bits=3,
            ),
            one_to_one("drive", "ssm", size),
        ]  # fmt: skip
    return Program(
        name=name, formats=Formats(membrane_bits=24, payload_bits=10),
        inputs=(Input(name="in", size=INPUTS, graded=True),), populations=tuple(populations),
        projections=tuple(projections), outputs=("ssm",), readout="last",
    )  # fmt: skip


def memory() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def long_run(steps: int, piece: int) -> None:
    """A long sequence in pieces, then at once."""
    from sim.golden.network import Golden

    golden, start, sums = Golden(program("mixed")), None, []
    pieces = steps // piece
    for k in range(pieces):
        u = inputs("mixed", 1, piece, seed=k)
        result = golden.run(u, start=start)
        start = result.snapshot()
        sums.append(hashlib.sha256(result.outputs).digest())
        if k == 0:
            before = memory()
    print(f"{steps} steps in {pieces} pieces: peak memory {before:.1f} MB after the first, "
          f"{memory():.1f} MB after the last")  # fmt: skip
    u = np.concatenate([inputs("mixed", 1, piece, seed=k) for k in range(pieces)], 1)
    whole = golden.run(u)
    parts = np.split(whole.outputs, pieces, axis=1)
    same = [hashlib.sha256(np.ascontiguousarray(part)).digest() for part in parts] == sums
    last = whole.snapshot()
    same &= all((start[n][k] == v).all() for n, kept in last.items() for k, v in kept.items())
    print(f"one run: peak memory {memory():.1f} MB; "
          f"{'the same outputs and states' if same else 'DIFFERENT'}")  # fmt: skip
    if not same:
        raise SystemExit("pieces and whole differ")


def main() -> None:
    """Print one figure per line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--torch", action="store_true", help="print torch's times as JSON, no more")
    arguments = parser.parse_args()
    samples, steps = arguments.samples, arguments.steps
    if arguments.torch:
        print(json.dumps(torch_times(samples, steps)))
        return
    from sim.golden.network import Golden

    long_run(100_000, 1000)
    command = [arguments.python, __file__, "--torch", f"--samples={samples}", f"--steps={steps}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    torch = json.loads(ran.stdout) if ran.returncode == 0 else {}
    if not torch:
        print(f"torch: left out ({arguments.python}: {ran.stderr.splitlines()[-1]})")
    updates = 256 * steps * samples / 1e6
    for name in SHAPES:
        golden, events = Golden(program(name)), inputs(name, samples, steps)
        result = golden.run(events)
        wanted = numpy_run(name, events).swapaxes(0, 1)
        parts = [wanted.real] if name == "mixed" else [wanted.real, wanted.imag]
        wanted = np.stack(parts, -1).reshape(result.outputs.shape)
        noise = ((result.outputs - wanted) ** 2).mean()
        if result.state_saturations["ssm"].any():
            raise SystemExit("states saturate: the comparison is void")
        print(f"{name}: {SHAPES[name][0]} x {SHAPES[name][1]} states, {samples} samples of {steps} "
              f"steps; SQNR {10 * np.log10((wanted**2).mean() / noise):.1f} dB")  # fmt: skip
        slow = {"numpy 1": least(lambda name=name, e=events: numpy_run(name, e), 1)}
        slow |= {f"torch {k.split()[1]}": t for k, t in torch.items() if k.startswith(name)}
        for threads in (1, 2):
            fast = least(
                lambda golden=golden, e=events, n=threads: golden.run(e, threads=n), threads
            )
            print(f"  golden, {threads} thread(s)  {updates / fast:7.1f} M updates/s")
            for rival, seconds in slow.items():
                if rival.endswith(str(threads)):
                    print(f"  {rival[:-2]}, {threads} thread(s)   {updates / seconds:7.1f} M "
                          f"updates/s, golden is {seconds / fast:.1f} x")  # fmt: skip


if __name__ == "__main__":
    main()
