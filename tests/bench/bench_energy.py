"""Energy against sparsity, and whether its shape is that of the RTL's toggles.

Digits on some cores; of each input event a share is taken out at random. Toggles are those of all
signals of the Verilated design; its clock and what stands in memories don't count. They should be a
sum of what the energy model counts: a * (pJ of synapses and network) + b * (pJ of the logic of
neurons) + c * cycles, with a, b, c fitted on every other sparsity and the rest held out.

Example: python tests/bench/bench_energy.py
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from codesign.compile import emit_rtl, quantise_model
from codesign.cost.cycles import activity, cycles
from codesign.cost.energy import FIGURES, energy, operations
from codesign.cost.resources import resources
from codesign.settings import load_settings
from mapping.mapped import Mapped
from mapping.mapper import map_program
from sim.rtl import Rtl
from sim.stimulus import quantise_inputs, read_stimulus
from tests.kit_toggles import toggles

EXAMPLES = Path(__file__).parents[2] / "examples"
SPARSITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)


def thinned(events: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Events without that share of them; what is gone at one share is gone at any larger one."""
    return events * (np.random.default_rng(seed).random(events.shape) >= share)


def fit(counted: np.ndarray, toggled: np.ndarray) -> tuple[np.ndarray, str]:
    """Toggles of each count, by the even points [points, counts]; how it foretells the odd ones."""
    a = np.linalg.lstsq(counted[::2], toggled[::2], rcond=None)[0]
    error = counted @ a / toggled - 1
    r2 = 1 - ((toggled - counted @ a) ** 2).sum() / ((toggled - toggled.mean()) ** 2).sum()
    mean, worst = 100 * np.abs(error[1::2]).mean(), 100 * np.abs(error[1::2]).max()
    return a, f"R2 {r2:.4f}; held-out error mean {mean:.1f} %, worst {worst:.1f} %"


def run(mapped: Mapped, events: np.ndarray, folder: Path) -> None:
    emit_rtl(mapped, folder)
    rtl = Rtl(mapped, sorted(folder.glob("nervure*")), optimise=False, trace=True)
    area = resources(mapped.mesh, mapped.host)
    rows = []
    print(f"{'silent':>7} {'cycles':>8} {'uJ':>8} {'operations uJ':>14} {'toggles':>10}  parts, nJ")
    for share in SPARSITIES:
        given = thinned(events, share)
        done = activity(mapped.program, given)
        took = cycles(mapped, done)
        spent = energy(mapped, done, took, ff=area.ff, mhz=area.fmax_mhz)
        wave = folder / "wave.vcd"
        found = rtl.run(given, waveform=wave)
        toggled = toggles(wave) / len(events)
        bits = operations(mapped, done, took)["neurons"]
        neurons = sum(bits.get(name, 0.0) * FIGURES[name].pj for name in ("logic", "multiply"))
        arriving = 1e6 * (spent.parts["synapses"] + spent.parts["network"])
        rows.append((spent.dynamic_uj, toggled, arriving, neurons, found.cycles.mean()))
        parts = ", ".join(f"{name} {1e3 * uj:.3g}" for name, uj in spent.parts.items())
        print(
            f"{100 * share:6.0f}% {took.per_sample:8.0f} {spent.uj:8.3f} {spent.dynamic_uj:14.5f} "
            f"{toggled:10.0f}  {parts}",
            flush=True,
        )
    table = np.array(rows)
    (a, b, c), how = fit(table[:, 2:], table[:, 1])
    print(f"toggles = {a:.2f} a pJ of events + {b:.2f} a pJ of neurons + {c:.1f} a cycle: {how}")
    line = np.polyfit(np.array(SPARSITIES), table[:, 0], 1)
    off = np.abs(np.polyval(line, SPARSITIES) - table[:, 0]).max() / table[0, 0]
    print(f"operations against silent share: a straight line within {100 * off:.1f} % of the first")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--cores", default="1,4")
    arguments = parser.parse_args()
    settings = load_settings(EXAMPLES / "digits" / "nervure.toml")
    made = quantise_model(EXAMPLES / "digits" / "digits.nir", settings)
    stimulus = read_stimulus(EXAMPLES / "digits" / "test.npz")
    events = quantise_inputs(made.program, stimulus)[: arguments.samples]
    for cores in map(int, arguments.cores.split(",")):
        given = load_settings(EXAMPLES / "digits" / "nervure.toml", {"cores": cores, "lanes": 4})
        print(f"digits, {cores} cores, 4 lanes")
        with tempfile.TemporaryDirectory() as folder:
            run(map_program(made.program, given.target), events, Path(folder))


if __name__ == "__main__":
    main()
