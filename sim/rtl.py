"""The fabric's Verilog, run in process on whole data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.neuron import CoreParams
from hdl.params.sc.dense import DenseParams
from mapping.mapped import Mapped
from sim import protocol
from sim.golden.network_memory import Start
from sim.states import States, checked_start, chosen_states, empty_states, state_words
from sim.verilated import StopOn, Verilated

__all__ = ["Rtl", "RtlResult", "Stalls", "worth_optimising"]

#: Host words handed to the simulator at once: memory stays small, progress is seen.
BATCH_WORDS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """Random stalls on the host's streams: probabilities per cycle, and the seed."""

    on_input: float = 0.0
    on_output: float = 0.0
    seed: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class RtlResult:
    """Answers of the hardware.

    outputs : int64 [samples, steps, outputs], as golden's.
    cycles : int64 [samples], clock cycles from a sample's clear to its last answer.
    final : the states after each sample, if probed; population to key to array (sim/states.py).
    errors : answers that can't be (lost, twice, at the wrong time), empty if all is well.
    total_cycles : clock cycles of the whole run.
    """

    outputs: np.ndarray
    cycles: np.ndarray
    final: States = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    total_cycles: int = 0


def worth_optimising(mapped: Mapped, steps: int) -> bool:
    """Whether a run of that many steps, all samples together, pays for an optimised build.

    Optimising costs as much time as it saves in about 2 million cycles, whatever the size of the
    design: both the build and the cycle grow with it.
    """
    cycles = max((step_cycles(c) for c in mapped.mesh.cores if c is not None), default=0)
    return steps * mapped.schedule.interval * (100 + cycles) > 2_000_000


def step_cycles(core: CoreParams) -> int:
    """Cycles of a step of a core, roughly."""
    d = core.dendrites
    if isinstance(d, DenseParams):
        return core.slots * (d.tiles << d.streams.log2_length)
    if isinstance(d, CrossbarParams):
        return d.read_cycles
    return core.update_cycles if d is not None else 2 * (core.slots // core.update_lanes)


class Rtl:
    """A compiled fabric, ready to run samples.

    Parameters
    ----------
    mapped : what the Verilog implements; its addresses and schedule are used.
    sources : the Verilog file and the memory files that it reads.
    trace : build with waveforms (slower).
    optimise : optimise the simulator; without it, it is built in a quarter of the time and runs
        at a third of the speed (see `worth_optimising`).
    progress : called with a text while Verilator builds.
    """

    def __init__(
        self,
        mapped: Mapped,
        sources: Sequence[Path],
        *,
        top: str = "nervure",
        trace: bool = False,
        optimise: bool = True,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.mapped = mapped
        verilog = [path for path in sources if path.suffix == ".v"]
        memories = [path for path in sources if path.suffix == ".mem"]
        extra: dict[str, Any] = {"progress": progress} if progress else {}
        self.built = Verilated.build(
            verilog, top, trace=trace, optimise=optimise, data_files=memories, **extra
        )

    def run(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray | None = None,
        *,
        probe: bool = False,
        load: bool = False,
        start: Start | None = None,
        stalls: Stalls | None = None,
        waveform: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> RtlResult:
        """Run samples, each from a cleared state, or from its own in `start`.

        inputs : int [samples, steps, inputs], as golden's. lengths : steps of each sample.
        probe : read all neurons' states after each sample. load : fill the memories through the
        host port first. start : states as an earlier run's `final`, or golden's `snapshot`;
        UserError where golden refuses them. progress : called with the number of samples done.
        """
        mapped, stalls = self.mapped, stalls or Stalls()
        samples, steps = inputs.shape[:2]
        lengths = np.full(samples, steps) if lengths is None else np.asarray(lengths)
        outputs = np.zeros((samples, steps, mapped.program.output_size), dtype=np.int64)
        cycles = np.zeros(samples, dtype=np.int64)
        final = empty_states(mapped.program, samples) if probe else {}
        begin = None if start is None else checked_start(mapped.program, start, samples)
        errors: list[str] = []
        mark = (1 << mapped.host.body_bits, 1 << mapped.host.body_bits)
        # All cores may update at once; more silence than that is a fabric that hangs.
        longest = max(core.update_cycles for core in mapped.mesh.cores if core is not None)
        deadline = max(1_000_000, 2 * longest)
        kept = (probe or begin is not None) * state_words(mapped)
        done = total = 0
        with self.built.new() as model:
            if waveform is not None:
                model.start_trace(waveform)
            model.reset()
            for length in np.unique(lengths):
                chosen = np.flatnonzero(lengths == length)
                each = int(length) * (inputs.shape[2] + 1) + kept
                size = max(1, BATCH_WORDS // max(1, each))
                for first in range(0, len(chosen), size):
                    part = chosen[first : first + size]
                    words = protocol.encode(
                        mapped,
                        inputs[part, :length],
                        probe=probe,
                        load=load and done == 0,
                        control=done == 0,
                        start=begin and chosen_states(begin, part),
                    )
                    options = {"probe": probe, "start": begin is not None}
                    marks = protocol.replies(mapped, int(length), **options) * len(part)
                    run = model.stream(
                        words.reshape(-1, 1),
                        until=StopOn(mask=mark[0], value=mark[1], count=marks),
                        stall_in=stalls.on_input,
                        stall_out=stalls.on_output,
                        seed=stalls.seed + done,
                        deadline=deadline,
                    )
                    total += run.cycles
                    answer = protocol.decode(
                        mapped, run.words_out.reshape(-1), int(length), **options
                    )
                    outputs[part, :length] = answer.outputs
                    cycles[part] = answer.cycles.sum(axis=1)
                    errors += [f"samples from {part[0]} on: {e}" for e in answer.errors]
                    for name, state in answer.probes.items():
                        for key, values in state.items():
                            final[name][key][part] = values
                    done += len(part)
                    if progress is not None:
                        progress(done)
            if waveform is not None:
                model.stop_trace()
        return RtlResult(
            outputs=outputs,
            cycles=cycles,
            final=final,
            errors=tuple(errors),
            total_cycles=total,
        )
