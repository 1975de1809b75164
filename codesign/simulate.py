"""Runs a stimulus through an artefact: golden model, Verilated RTL or the model in float."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.artefact import Artefact
from codesign.runtime import AS_COMPILED, RunTime
from codesign.states import read_states, write_states
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["BACKENDS", "Simulation", "check_file", "class_scores", "decisions", "read_input",
           "simulate"]  # fmt: skip

BACKENDS = ("golden", "rtl", "float")


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """Outputs of a run.

    outputs : [samples, steps, outputs], int64 (golden, rtl) or float (float model: spikes or
    values). decision : int64 [samples], None if the readout is "none". correct : decisions that
    equal their label, None without labels. cycles : clock cycles of each sample (rtl).
    """

    backend: str
    outputs: np.ndarray
    lengths: np.ndarray
    decision: np.ndarray | None = None
    correct: int | None = None
    cycles: np.ndarray | None = None
    errors: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Counts as plain data; the arrays are in the file."""
        samples = len(self.outputs)
        return {
            "backend": self.backend,
            "samples": samples,
            "steps": int(self.outputs.shape[1]),
            "outputs": int(self.outputs.shape[2]),
            "output_events": int(np.count_nonzero(self.outputs)),
            "accuracy": None if self.correct is None else self.correct / max(samples, 1),
            "cycles_per_sample": None if self.cycles is None else float(self.cycles.mean()),
            "errors": list(self.errors),
        }


def read_input(artefact: Artefact, path: Path | str) -> Stimulus:
    """A stimulus that fits the artefact's inputs and outputs."""
    from sim.stimulus import read_stimulus

    program = artefact.program
    return read_stimulus(path, inputs=program.input_size, outputs=program.output_size)


def decisions(program: Program, outputs: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """The winning output of each sample; None where the Program names no readout."""
    found = class_scores(program, outputs, lengths)
    return None if found is None else found.argmax(axis=1).astype(np.int64)


def class_scores(program: Program, outputs: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """What decides, [samples, outputs]; None where the Program names no readout.

    Integers are compared as such where all outputs share one scale, else as real values.
    """
    from mapping.readout import scores
    from sim.stimulus import real_outputs

    if program.readout == "none":
        return None
    if outputs.dtype.kind in "iu":
        ones = real_outputs(program, np.ones(program.output_size))
        if len(np.unique(ones)) > 1:
            outputs = real_outputs(program, outputs)
    return scores(program.readout, outputs, np.maximum(lengths, 1))


def check_file(out: Path) -> None:
    """UserError unless a file can be written there."""
    if out.is_dir():
        raise UserError(f"{out}: is a directory; give the name of a file")
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UserError(f"{out}: {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{out}: {parent} can't be written to; give another -o")


def simulate(
    artefact: Artefact,
    stimulus: Stimulus | Path | str,
    out: Path | str | None = None,
    *,
    backend: str = "golden",
    start: Path | str | None = None,
    keep: Path | str | None = None,
    run_time: RunTime = AS_COMPILED,
    progress: Any = None,
) -> Simulation:
    """Runs a stimulus; writes `out` (.npz) if given.

    backend : "golden", "rtl" or "float". start, keep : files of what the network remembers, of each
    sample: to go on from, and to write at the end; not for "float". run_time : what hardware can
    change. progress : called with a text; its `count`, if it has one, with samples done and all.
    """
    from sim.stimulus import quantise_inputs, write_outputs

    if backend not in BACKENDS:
        raise UserError(f"backend: must be one of {', '.join(BACKENDS)}, not {backend!r}")
    if backend == "float" and (start or keep):
        raise UserError("backend: the float model keeps no state; use golden or rtl")
    say = progress or (lambda text: None)
    count = getattr(progress, "count", lambda done, total: None)
    artefact = artefact.at(run_time)
    for path in (out, keep):
        if path is not None:
            check_file(Path(path))
    if isinstance(stimulus, str | Path):
        say(f"reading {stimulus}")
        stimulus = read_input(artefact, stimulus)
    program, lengths, cycles = artefact.program, stimulus.lengths, None
    errors: tuple[str, ...] = ()
    if backend == "float":
        from mapping.reference import simulate as run_float

        say("running the model in floating point")
        outputs = run_float(artefact.graph, samples_of(stimulus)).outputs
        short = stimulus.steps - outputs.shape[1]
        outputs = np.pad(outputs, ((0, 0), (0, short), (0, 0)))
    else:
        events = quantise_inputs(program, stimulus)
        begin = None if start is None else read_states(Path(start), program)
        if backend == "golden":
            from sim.golden.network import Golden

            say("running the golden model")
            threads = os.cpu_count() or 1
            ran = Golden(program).run(events, lengths, start=begin, threads=threads)
            outputs, states = ran.outputs, ran.snapshot()
        else:
            from sim.rtl import Rtl

            say("mapping")
            rtl = Rtl(artefact.mapped, artefact.sources, progress=say)
            say("running the RTL")
            answer = rtl.run(
                events, lengths, start=begin, probe=keep is not None,
                progress=lambda n: count(n, len(events)),
            )  # fmt: skip
            outputs, cycles, errors = answer.outputs, answer.cycles, answer.errors
            states = answer.final
        if keep is not None:
            write_states(Path(keep), states)
    decision = decisions(program, outputs, lengths)
    correct = None
    if decision is not None and stimulus.labels is not None:
        correct = int(np.count_nonzero(decision == stimulus.labels))
    if out is not None:
        say(f"writing {out}")
        if backend == "float":
            _write_float(Path(out), outputs, decision, stimulus)
        else:
            write_outputs(
                out, program, outputs,
                decision=decision, lengths=lengths, labels=stimulus.labels,
            )  # fmt: skip
    return Simulation(
        backend=backend, outputs=outputs, lengths=lengths, decision=decision, correct=correct,
        cycles=cycles, errors=errors,
    )  # fmt: skip


def samples_of(stimulus: Stimulus) -> list[np.ndarray]:
    """The samples without their padding, as float64."""
    return [
        np.asarray(sample[:length], np.float64)
        for sample, length in zip(stimulus.inputs, stimulus.lengths, strict=True)
    ]


def _write_float(
    path: Path, outputs: np.ndarray, decision: np.ndarray | None, stimulus: Stimulus
) -> None:
    from sim.npz import write_npz

    arrays = {"spikes": (outputs != 0).astype(np.uint8), "values": outputs.astype(np.float64)}
    arrays["lengths"] = stimulus.lengths
    if decision is not None:
        arrays["decision"] = decision
    if stimulus.labels is not None:
        arrays["labels"] = stimulus.labels
    write_npz(path, arrays)
