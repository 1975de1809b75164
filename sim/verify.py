"""The check that hardware and golden model agree in every bit, and how far quantisation went.

Two numbers, never mixed: `mismatches` (Verilog against golden model, must be 0) and the
quantisation loss (golden model against the floating-point model, a tolerance).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hdl.params.errors import NervureError, ToolMissing, UserError
from mapping.mapped import Mapped
from sim.export import random_inputs
from sim.golden.network import Golden, GoldenResult
from sim.mismatch import Mismatch, differences, locate, output_bits, run_rtl, write_waveform
from sim.quantisation import Quantisation, quantisation_loss
from sim.rtl import Rtl, Stalls, worth_optimising
from sim.states import state_bits
from sim.stimulus import Stimulus, quantise_inputs
from sim.verilated import SimulationError

if TYPE_CHECKING:
    from mapping.graph import Graph

__all__ = ["FAIL", "NOT_RUN", "PASS", "Stage", "Verification", "verify"]

PASS, FAIL, NOT_RUN = "PASS", "FAIL", "NOT RUN"

#: Probability of a stall, each cycle, on either stream.
STALL = 0.3
#: Differences of the first wrong step that are kept.
KEPT = 20

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a verification. `reason`: why it failed or did not run, or what it saw."""

    name: str
    status: str
    reason: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a verification found.

    Members
    -------
    status : PASS only if every stage that was asked for ran and every bit agreed; NOT RUN if
        nothing disagreed but the Verilog could not be run.
    mismatches : words (outputs, states) and protocol errors in which Verilog and golden differ.
    compared_bits : bits of outputs and states that were compared in process.
    samples, steps : samples that were run, and steps of the longest one.
    cores : cores of the fabric. seed : of the stalls. stages : in order.
    quantisation : golden against floating point; None if that was not run.
    first : differences of the first wrong step of the first wrong sample, causes first.
    waveform, replay : a VCD up to that step, and the command that shows it again.
    """

    status: str
    mismatches: int
    compared_bits: int
    samples: int
    steps: int
    cores: int
    seed: int
    stages: tuple[Stage, ...]
    quantisation: Quantisation | None = None
    first: tuple[Mismatch, ...] = ()
    waveform: Path | None = None
    replay: str = ""

    @property
    def passed(self) -> bool:
        return self.status == PASS

    def to_json(self) -> dict[str, Any]:
        """One object for machines; its keys stay."""
        return {
            "status": self.status,
            "mismatches": self.mismatches,
            "compared_bits": self.compared_bits,
            "samples": self.samples,
            "steps": self.steps,
            "cores": self.cores,
            "seed": self.seed,
            "stages": [asdict(stage) for stage in self.stages],
            "quantisation": None if self.quantisation is None else asdict(self.quantisation),
            "first": [m.to_json() for m in self.first],
            "waveform": None if self.waveform is None else str(self.waveform),
            "replay": self.replay,
        }


class _Run:
    """A verification under way."""

    def __init__(self, mapped: Mapped, inputs: np.ndarray, lengths: np.ndarray) -> None:
        self.mapped, self.inputs, self.lengths = mapped, inputs, lengths
        self.stages: list[Stage] = []
        self.mismatches = self.bits = 0
        self.wrong: tuple[int, Stalls | None, str] | None = None  # sample, stalls, message

    def stage(self, name: str, body: Callable[[], tuple[str, str]]) -> None:
        """Runs one stage: `body` gives its status and reason."""
        begin = time.perf_counter()
        try:
            status, reason = body()
        except ToolMissing as error:
            status, reason = NOT_RUN, str(error)
        except NervureError as error:
            status, reason = FAIL, str(error)
        self.skip(name, reason, status, time.perf_counter() - begin)

    def skip(self, name: str, reason: str, status: str = NOT_RUN, seconds: float = 0.0) -> None:
        self.stages.append(Stage(name=name, status=status, reason=reason, seconds=seconds))

    def compare(self, right: GoldenResult, rtl: Rtl, stalls: Stalls | None) -> tuple[str, str]:
        """Runs all samples on the Verilog and counts what differs."""
        begin = time.perf_counter()
        mapped, lengths = self.mapped, self.lengths
        result = run_rtl(rtl, self.inputs, lengths, stalls)
        if isinstance(result, str):
            self.mismatches += 1
            self.wrong = self.wrong or (-1, stalls, result)
            return FAIL, result
        self.bits += _bits(mapped, lengths)
        count, first, samples = 0, None, set()
        for found in differences(mapped, right, result, lengths):
            first = first or found
            samples.add(found.sample)
            count += 1
        count += len(result.errors)
        self.mismatches += count
        if count:
            text = result.errors[0] if first is None else str(first)
            sample = -1 if first is None else first.sample
            self.wrong = self.wrong or (sample, stalls, text)
            return FAIL, f"{count} mismatches in {max(len(samples), 1)} of {len(lengths)} samples"
        rate = result.total_cycles / max(time.perf_counter() - begin, 1e-9)
        return PASS, f"every bit agrees; {result.total_cycles} cycles, {rate:.3g} a second"


def verify(
    mapped: Mapped,
    sources: Sequence[Path],
    stimulus: Stimulus | None = None,
    *,
    graph: Graph | None = None,
    directory: Path | str | None = None,
    steps: int | None = None,
    samples: int | None = None,
    sample: int | None = None,
    seed: int = 1,
    stalls: bool = True,
    cocotb: bool = True,
    waveforms: Path | str | None = None,
    replay: str = "nervure verify",
    progress: Progress = lambda text: None,
) -> Verification:
    """Checks the Verilog on disk against the golden model of `mapped.program`.

    Parameters
    ----------
    sources : the Verilog and memory files. stimulus : None is seeded random input.
    graph : the floating-point model, for the quantisation loss; None: that is not run.
    directory : the artefact, whose tb/ the cocotb stage runs; None: that is not run.
    steps, samples : run at most so many. sample : run only this one (it keeps its number).
    seed : of the stalls, and of random input. stalls : also run with random stalls.
    waveforms : folder for a waveform of the first mismatch; None: none is written.
    replay : the command, without --sample, --steps and --seed, that runs this again.
    """
    stimulus, inputs, number = _chosen(mapped, stimulus, steps, samples, sample, seed)
    lengths = np.asarray(stimulus.lengths, dtype=np.int64)
    run = _Run(mapped, inputs, lengths)
    golden = Golden(mapped.program)
    progress("golden model")
    right = golden.run(inputs, lengths)

    loss: Quantisation | None = None

    def quantisation() -> tuple[str, str]:
        nonlocal loss
        assert graph is not None
        loss = quantisation_loss(mapped.program, graph, stimulus, right.outputs)
        return PASS, str(loss)

    if graph is None:
        run.skip("quantisation", "no floating-point model was given")
    else:
        progress("floating-point model")
        run.stage("quantisation", quantisation)

    rtl: Rtl | None = None

    def unstalled() -> tuple[str, str]:
        nonlocal rtl
        optimise = worth_optimising(mapped, int(lengths.sum()) * (1 + stalls))
        rtl = Rtl(mapped, sources, optimise=optimise, progress=progress)
        progress(f"Verilog, {len(inputs)} samples")
        return run.compare(right, rtl, None)

    run.stage("rtl", unstalled)
    if not stalls:
        run.skip("rtl with stalls", "not asked for")
    elif rtl is None:
        run.skip("rtl with stalls", run.stages[-1].reason)
    else:
        progress(f"Verilog with random stalls, {len(inputs)} samples")
        built, waits = rtl, Stalls(on_input=STALL, on_output=STALL, seed=seed)
        run.stage("rtl with stalls", lambda: run.compare(right, built, waits))

    if not cocotb:
        run.skip("cocotb", "not asked for")
    elif directory is None:
        run.skip("cocotb", "no artefact was given")
    else:
        run.stage("cocotb", lambda: _cocotb(run, Path(directory), seed, progress))

    first: tuple[Mismatch, ...] = ()
    waveform, command = None, ""
    if run.wrong is not None and rtl is not None:
        progress("looking for the first difference")
        first, place, waits_of = _first(run, golden, rtl)
        first = tuple(replace(m, sample=number(m.sample)) for m in first[:KEPT])
        if first:
            command = f"{replay} --sample {first[0].sample} --steps {first[0].step + 1}"
            command += f" --seed {seed}"
            if waveforms is not None:
                progress("writing the waveform")
                name = f"sample{first[0].sample}_step{first[0].step}.vcd"
                waveform = Path(waveforms) / name
                part = inputs[place, : first[0].step + 1]
                write_waveform(mapped, list(sources), part, waits_of, waveform)
    return Verification(
        status=_status(run.stages, stalls, cocotb and directory is not None),
        mismatches=run.mismatches,
        compared_bits=run.bits,
        samples=len(inputs),
        steps=int(lengths.max(initial=0)),
        cores=sum(core is not None for core in mapped.mesh.cores),
        seed=seed,
        stages=tuple(run.stages),
        quantisation=loss,
        first=first,
        waveform=waveform,
        replay=command,
    )


def _chosen(
    mapped: Mapped,
    stimulus: Stimulus | None,
    steps: int | None,
    samples: int | None,
    sample: int | None,
    seed: int,
) -> tuple[Stimulus, np.ndarray, Callable[[int], int]]:
    """The part of the stimulus that is run, its integers, and the user's number of a sample."""
    for name, value, least in (("steps", steps, 1), ("samples", samples, 1), ("sample", sample, 0)):
        if value is not None and value < least:
            raise UserError(f"{name} must be at least {least}, not {value}")
    if stimulus is None:
        count = samples or max(4, (sample or 0) + 1)
        inputs = random_inputs(mapped.program, count, steps or 20, seed=seed)
        real = np.array(inputs, dtype=np.float64)
        first = 0
        for i in mapped.program.inputs:
            real[..., first : first + i.size] *= i.scale if i.graded else 1.0
            first += i.size
        stimulus = Stimulus(
            inputs=real, lengths=np.full(count, inputs.shape[1]), source="random input"
        )
    if sample is not None and sample >= stimulus.samples:
        raise UserError(
            f"{stimulus.source}: there is no sample {sample}, it has {stimulus.samples} (from 0 on)"
        )
    part = slice(0, samples) if sample is None else slice(sample, sample + 1)
    longest = stimulus.steps if steps is None else min(steps, stimulus.steps)
    chosen = replace(
        stimulus,
        inputs=stimulus.inputs[part, :longest],
        lengths=np.minimum(stimulus.lengths[part], longest),
        labels=None if stimulus.labels is None else stimulus.labels[part],
    )
    return chosen, quantise_inputs(mapped.program, chosen), lambda n: n + part.start


def _bits(mapped: Mapped, lengths: np.ndarray) -> int:
    """Bits of outputs and final states of samples of these lengths."""
    state = state_bits(mapped.program)
    return int(lengths.sum()) * int(output_bits(mapped).sum()) + len(lengths) * state


def _cocotb(run: _Run, directory: Path, seed: int, progress: Progress) -> tuple[str, str]:
    from sim.cocotb_run import run_testbench

    result = run_testbench(directory, seed=seed, progress=progress)
    if result.passed:
        return PASS, f"{result.tests} tests passed"
    run.mismatches += max(result.failed, 1)
    return FAIL, f"{result.failed} of {result.tests} tests failed: {'; '.join(result.failures)}"


def _first(run: _Run, golden: Golden, rtl: Rtl) -> tuple[tuple[Mismatch, ...], int, Stalls | None]:
    """First differences, the sample's place, and the stalls with which they were found."""
    assert run.wrong is not None
    sample, stalls, text = run.wrong
    for place in range(len(run.inputs)) if sample < 0 else (sample,):
        part = run.inputs[place, : run.lengths[place]]
        try:
            found = locate(run.mapped, golden, rtl, part, place, stalls)
        except SimulationError as error:
            text, found = str(error), ()
        if found:
            return found, place, stalls
    place = max(sample, 0)
    text += "; it does not show when the sample is run by itself"
    last = max(int(run.lengths[place]) - 1, 0)
    return (Mismatch(sample=place, step=last, signal="protocol", text=text),), place, stalls


def _status(stages: list[Stage], stalls: bool, cocotb: bool) -> str:
    status = {stage.name: stage.status for stage in stages}
    if FAIL in status.values():
        return FAIL
    asked = ["rtl"] + ["rtl with stalls"] * stalls + ["cocotb"] * cocotb
    return PASS if all(status[name] == PASS for name in asked) else NOT_RUN
