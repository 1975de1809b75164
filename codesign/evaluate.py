"""Accuracy, activity and latency of an artefact on labelled data: float, golden model and RTL."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.activity import raster
from codesign.artefact import Artefact
from codesign.runtime import AS_COMPILED, RunTime
from codesign.sidebyside import Models
from codesign.simulate import decisions, read_input
from codesign.stream_curve import length_curve
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from sim.stimulus import Stimulus

__all__ = ["Evaluation", "evaluate", "first_samples"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over the samples; None where something was not run or has no labels.

    accuracy : {"float", "golden", "rtl"}. spikes_per_sample : events that populations sent.
    mismatches : output words in which RTL and golden model differ, answers that can't be
    included; must be 0. decision_agreement : share of samples that float and golden model decide
    alike; float_agreement : that two runs of a float model with random draws decide alike.
    spike_agreement : per spiking layer without random draws, spikes that float and golden model
    both have over those that either has. sqnr_db : per layer of values, signal (float model) over
    error (golden model against it); None if there is no error. activity : by population, the share
    of its neurons that send something in a step. state_updates_per_sample : of states of diagonal
    recurrences. saturations : sums clamped to their range, by population.
    confusion : [label][decision] counts of the golden model. clock_mhz : of `latency_us`.
    streams : by stochastic layer {"length", "mean"}: the bits of a stream, and how many of them
    a sum took in the mean, which early termination shortens. stream_curve : the same data at all
    stream lengths (codesign/stream_curve.py). steps : most of a sample that ran. stream_length,
    tolerance, margin, age, compensation, noise_seed : as asked for (RunTime), None is what it was
    compiled with.
    """

    accuracy: dict[str, float | None]
    samples: int
    steps_per_sample: float
    spikes_per_sample: float
    input_events_per_sample: float
    synaptic_operations_per_sample: float
    neuron_updates_per_sample: float
    cycles_per_sample: float | None
    cycles_per_step: float | None
    latency_us: float | None
    clock_mhz: float
    clock_source: str
    source: str
    mismatches: int | None = None
    errors: tuple[str, ...] = ()
    decision_agreement: float | None = None
    float_agreement: float | None = None
    spike_agreement: dict[str, float] = field(default_factory=dict)
    sqnr_db: dict[str, float | None] = field(default_factory=dict)
    spikes_by_population: dict[str, float] = field(default_factory=dict)
    activity: dict[str, float] = field(default_factory=dict)
    state_updates_per_sample: float = 0.0
    saturations: dict[str, int] = field(default_factory=dict)
    confusion: list[list[int]] | None = None
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    stream_curve: list[dict[str, Any]] = field(default_factory=list)
    steps: int | None = None
    stream_length: int | None = None
    tolerance: float | None = None
    margin: int | None = None
    age: float | None = None
    compensation: str | None = None
    noise_seed: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the RTL, if it ran, gave every bit of the golden model."""
        return not self.mismatches and not self.errors

    def to_json(self) -> dict[str, Any]:
        """Plain data; the keys stay stable."""
        return {**vars(self), "errors": list(self.errors)}


def first_samples(
    stimulus: Stimulus, samples: int | None = None, steps: int | None = None
) -> Stimulus:
    """The first samples, and of each the first steps; None: all."""
    for name, number in (("samples", samples), ("steps", steps)):
        if number is not None and number < 1:
            raise UserError(f"{name}: must be at least 1, not {number}")
    return replace(
        stimulus,
        inputs=stimulus.inputs[:samples, :steps],
        lengths=np.minimum(stimulus.lengths[:samples], steps or stimulus.steps),
        labels=None if stimulus.labels is None else stimulus.labels[:samples],
    )


def _clock(artefact: Artefact) -> tuple[float, str]:
    """The clock that latencies assume, in MHz, and where it comes from."""
    from codesign.boards import board

    fmax = (artefact.report.get("synthesis") or {}).get("fmax_mhz")
    if fmax:
        return float(fmax), "the Fmax that nervure synth found"
    chosen = board(artefact.settings.board)
    return chosen.pll_mhz, f"the clock of {chosen.name}"


def evaluate(
    artefact: Artefact,
    stimulus: Stimulus | Path | str,
    *,
    samples: int | None = None,
    steps: int | None = None,
    rtl: bool = True,
    float: bool = True,
    run_time: RunTime = AS_COMPILED,
    progress: Any = None,
) -> Evaluation:
    """Runs labelled data; the outcome is also put into the artefact's report.

    samples, steps : only the first so many, of each sample. rtl, float : whether to run these too.
    run_time : what hardware can change. progress : called with a text; its `count`, if it has one,
    with samples done and samples.
    """
    from sim.stimulus import quantise_inputs

    say = progress or (lambda text: None)
    if isinstance(stimulus, str | Path):
        say(f"reading {stimulus}")
        stimulus = read_input(artefact, stimulus)
    stimulus = first_samples(stimulus, samples, steps)
    artefact = artefact.at(run_time)
    program = artefact.program
    events = quantise_inputs(program, stimulus)
    run = Models(artefact, stimulus, events)
    run.golden_and_float(float, progress)
    cycles, mismatches = None, None
    errors: tuple[str, ...] = ()
    if rtl:
        outputs, cycles, errors = _rtl(artefact, events, stimulus.lengths, progress)
        run.decided["rtl"] = decisions(program, outputs, stimulus.lengths)
        mismatches = int(np.count_nonzero(outputs != run.outputs["golden"])) + len(errors)
    mean_cycles = None if cycles is None else cycles.mean().item()
    mean_steps = stimulus.lengths.mean().item()
    mhz, clock = _clock(artefact)
    result = Evaluation(
        accuracy={name: run.accuracy(name) for name in ("float", "golden", "rtl")},
        samples=stimulus.samples,
        steps=steps,
        steps_per_sample=mean_steps,
        spikes_per_sample=run.mean(sum(run.events.values())),
        input_events_per_sample=run.mean(run.input_events),
        synaptic_operations_per_sample=run.mean(run.operations),
        neuron_updates_per_sample=run.mean(run.updates),
        cycles_per_sample=mean_cycles,
        cycles_per_step=None if mean_cycles is None else mean_cycles / max(mean_steps, 1e-9),
        latency_us=None if mean_cycles is None else mean_cycles / mhz,
        clock_mhz=mhz,
        clock_source=clock,
        source=Path(stimulus.source).name,
        mismatches=mismatches,
        errors=tuple(errors),
        decision_agreement=run.agreement(),
        float_agreement=run.agreement("float again"),
        spike_agreement=run.spike_agreement(),
        sqnr_db=run.fidelity.sqnr_db(),
        activity=run.activity(),
        state_updates_per_sample=run.state_updates(),
        spikes_by_population={name: run.mean(count) for name, count in run.events.items()},
        saturations=run.saturations,
        confusion=run.confusion(),
        streams=run.streams(),
        stream_curve=length_curve(program, stimulus, events, say),
        **run_time.given(),
    )
    shown = int(np.argmax(stimulus.lengths > 0))
    drawn = raster(
        program, events[shown, : stimulus.lengths[shown]], f"{result.source}, sample {shown}"
    )
    _add(artefact, result, drawn)
    return result


def _rtl(
    artefact: Artefact, events: np.ndarray, lengths: np.ndarray, progress: Any
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    from sim.rtl import Rtl

    say = progress or (lambda text: None)
    count = getattr(progress, "count", lambda done, total: None)
    say("mapping")
    rtl = Rtl(artefact.mapped, artefact.sources, progress=say)
    say("running the RTL")
    answer = rtl.run(events, lengths, progress=lambda done: count(done, len(events)))
    return answer.outputs, answer.cycles, answer.errors


def _add(artefact: Artefact, result: Evaluation, drawn: dict[str, Any]) -> None:
    """Puts the outcome into report.json, the quantisation section and cycles_per_step too."""
    program = artefact.program
    layers = [dict(row) for row in artefact.report.get("quantisation", [])]
    for row in layers:
        row["spike_agreement"] = result.spike_agreement.get(row["node"])
        row["sqnr_db"] = result.sqnr_db.get(row["node"])
        row["accuracy"] = result.accuracy["golden"] if row["node"] in program.outputs else None
    sections: dict[str, Any] = {
        "evaluation": result.to_json(), "quantisation": layers, "raster": drawn,
    }  # fmt: skip
    if result.cycles_per_step is not None:
        sections["cycles_per_step"] = result.cycles_per_step
    artefact.add_to_report(**sections)
