"""Where hardware and golden model first part: step, core, neuron, signal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.neuron import Emit
from mapping.mapped import Mapped
from sim.golden.network import Golden, GoldenResult
from sim.rtl import Rtl, RtlResult, Stalls
from sim.states import keys, owner
from sim.verilated import SimulationError

__all__ = ["Mismatch", "differences", "locate", "output_bits", "run_rtl", "write_waveform"]

#: Causes before effects.
SIGNALS = ("held", "draws", "states", "current", "membrane", "sent", "output", "protocol")

#: Steps that are searched one by one; a longer stretch is halved first.
WINDOW = 32


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """One difference.

    `signal` : a key of the state (sim/states.py), with its place if that is not a neuron's number;
        "output"; or "protocol": answers that can't be, told in `text`.
    """

    sample: int
    step: int
    signal: str
    population: str = ""
    neuron: int = -1
    x: int = -1
    y: int = -1
    slot: int = -1
    expected: int = 0
    found: int = 0
    bits: int = 1
    text: str = ""

    def __str__(self) -> str:
        """One line for people."""
        if self.signal == "protocol":
            return f"sample {self.sample}, step {self.step}: {self.text}"
        return (
            f"sample {self.sample}, step {self.step}, core ({self.x}, {self.y}), neuron "
            f"{self.population}[{self.neuron}] (slot {self.slot}), {self.signal}: "
            f"expected {self._hex(self.expected)} ({self.expected}), "
            f"found {self._hex(self.found)} ({self.found})"
        )

    def _hex(self, value: int) -> str:
        return f"0x{value & ((1 << self.bits) - 1):0{-(-self.bits // 4)}x}"

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        if self.signal != "protocol":
            found |= {"expected_hex": self._hex(self.expected), "found_hex": self._hex(self.found)}
        return {**found, "message": str(self)}


def output_bits(mapped: Mapped) -> np.ndarray:
    """Bits of each output number: 1 for a spike, else the width of the value."""
    program, flit = mapped.program, mapped.mesh.flit
    width = {int(Emit.STATE): program.formats.membrane_bits, int(Emit.NONE): 0, int(Emit.SPIKE): 1}
    value = program.formats.payload_bits or flit.value_bits
    kinds = [program.population(name).fields["emit"] for name in program.outputs]
    return np.array([width.get(int(k), value) for kind in kinds for k in kind], dtype=np.int64)


def run_rtl(
    rtl: Rtl, inputs: np.ndarray, lengths: np.ndarray, stalls: Stalls | None, **options: Any
) -> RtlResult | str:
    """A run that reads all states, or one line why the simulation could not end."""
    try:
        return rtl.run(inputs, lengths, probe=True, stalls=stalls, **options)
    except SimulationError as error:
        return str(error)


def _place(mapped: Mapped, population: str, neuron: int) -> dict[str, Any]:
    tile, slot = (int(part[neuron]) for part in mapped.slots[population])
    y, x = divmod(tile, mapped.mesh.flit.width)
    return {"population": population, "neuron": neuron, "x": x, "y": y, "slot": slot}


def differences(
    mapped: Mapped, golden: GoldenResult, result: RtlResult, lengths: np.ndarray
) -> Iterator[Mismatch]:
    """All differences: of each sample the final states by level, then outputs by step."""
    program, golden_states = mapped.program, golden.snapshot()
    numbers = [(name, n) for name in program.outputs for n in range(program.population(name).size)]
    bits = output_bits(mapped)
    for sample in range(len(lengths)):
        last = int(lengths[sample]) - 1
        for p in program.populations:
            for name, key in keys(program, p).items():
                a = golden_states[p.name][name][sample].reshape(-1)
                b = result.final[p.name][name][sample].reshape(-1)
                for place in np.flatnonzero(a != b).tolist():
                    index = np.unravel_index(place, key.shape) if key.shape != (p.size,) else ()
                    yield Mismatch(
                        sample=sample, step=last, signal=name + "".join(f"[{i}]" for i in index),
                        expected=int(a[place]), found=int(b[place]), bits=key.bits,
                        **_place(mapped, p.name, owner(p, name, place)),
                    )  # fmt: skip
        right, got = golden.outputs[sample], result.outputs[sample]
        for step, number in np.argwhere(right != got).tolist():
            yield Mismatch(
                sample=sample, step=step, signal="output", expected=int(right[step, number]),
                found=int(got[step, number]), bits=max(int(bits[number]), 1),
                **_place(mapped, *numbers[number]),
            )  # fmt: skip


def locate(
    mapped: Mapped,
    golden: Golden,
    rtl: Rtl,
    inputs: np.ndarray,
    sample: int,
    stalls: Stalls | None,
) -> tuple[Mismatch, ...]:
    """The differences at the first step of one sample [steps, inputs] that has any.

    The sample is run again, cut off after ever other numbers of steps, all states read at the
    end; empty if it runs without a difference now.
    """
    steps = len(inputs)

    def runs(first: int, end: int) -> list[tuple[Mismatch, ...]]:
        """What differs in runs of first..end steps, one tuple per run."""
        counts = np.arange(first, end + 1)
        batch = np.repeat(inputs[None, :end], len(counts), axis=0)
        result = run_rtl(rtl, batch, counts, stalls)
        if isinstance(result, str) or result.errors:
            if len(counts) > 1:
                return [found for n in counts.tolist() for found in runs(n, n)]
            text = result if isinstance(result, str) else result.errors[0].split(": ", 1)[-1]
            found = [Mismatch(sample=sample, step=end - 1, signal="protocol", text=text)]
            if isinstance(result, str):
                return [tuple(found)]
        else:
            found = []
        right = golden.run(batch, counts)
        parts: list[list[Mismatch]] = [[] for _ in counts]
        for m in differences(mapped, right, result, counts):
            parts[m.sample].append(replace(m, sample=sample))
        return [tuple(part + found) for part in parts]

    found = runs(steps, steps)[0] if steps else ()
    if not found:
        return ()
    step = min(m.step for m in found)
    found = tuple(m for m in found if m.step == step)
    stuck = all(m.signal == "protocol" for m in found)
    low, high = 0, step + 1  # after `low` steps no difference, after `high` one
    while high - low > (1 if stuck else WINDOW):
        middle = (low + high) // 2
        now = tuple(m for m in runs(middle, middle)[0] if m.step < middle)
        if now:
            high, found = middle, now
        else:
            low = middle
    for now in runs(low + 1, high) if not stuck else ():
        if now:
            found = now
            break
    step = min(m.step for m in found)
    return by_cause(mapped, tuple(m for m in found if m.step == step))


def by_cause(mapped: Mapped, found: tuple[Mismatch, ...]) -> tuple[Mismatch, ...]:
    """Differences of one step, causes before effects: by level, then by signal."""
    level = {p.name: p.level for p in mapped.program.populations}

    def rank(m: Mismatch) -> tuple[int, int, int]:
        return level.get(m.population, 99), SIGNALS.index(m.signal.split("[")[0]), m.neuron

    return tuple(sorted(found, key=rank))


def write_waveform(
    mapped: Mapped, sources: list[Path], inputs: np.ndarray, stalls: Stalls | None, path: Path
) -> None:
    """Runs one sample [steps, inputs] with all signals written to `path` (VCD)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rtl = Rtl(mapped, sources, trace=True, optimise=False)
    run_rtl(rtl, inputs[None], np.array([len(inputs)]), stalls, waveform=path)
