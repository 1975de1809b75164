"""The fewest bits that keep a bound: a search over the widths of weights, states and values.

Coordinate descent from wide formats: in each round every width is tried one bit narrower, and the
change that saves the most memory bits of those that keep the bound is made; it ends when none does.
A bound that the widest formats break can't be met and is said so. Each try quantises the model anew
and runs the golden model on the whole data set, so what is found is what the hardware does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.fidelity import Fidelity, real_values
from codesign.simulate import decisions, samples_of
from hdl.params.errors import CheckFailed, UserError
from hdl.params.neuron import sends_value
from hdl.params.ssm.diagonal import Diagonal

if TYPE_CHECKING:
    from codesign.settings import Settings
    from mapping.graph import Graph
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["Bound", "Trial", "memory_bits", "search_bits"]

#: Settings that are searched: (name, least, where the search starts).
WIDTHS = (("weight_bits", 2, 10), ("state_bits", 6, 18), ("pole_bits", 6, 17),
          ("payload_bits", 3, 14))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What must hold: accuracy no more than `points` percentage points below the float model's, or
    (and) outputs with an SQNR of at least `sqnr` dB."""

    points: float | None = None
    sqnr: float | None = None

    def __post_init__(self) -> None:
        if self.points is None and self.sqnr is None:
            raise UserError("bits: no bound; give --points or --sqnr")
        for name, value in (("--points", self.points), ("--sqnr", self.sqnr)):
            if value is not None and not 0 <= value <= 200:
                raise UserError(f"bits: {name} must be in 0..200, not {value:g}")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of widths: what it costs and does. `accuracy` None without labels."""

    widths: dict[str, int]
    bits: int
    accuracy: float | None
    sqnr_db: float | None
    kept: bool

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def memory_bits(program: Program) -> int:
    """Bits of weights, poles, mixes and states of a Program."""
    total = sum(len(q.weights) * q.weight_bits for q in program.projections if not q.port)
    for p in program.populations:
        if isinstance(d := p.dendrites, Diagonal):
            words = d.pole_bits + 1 + d.state_bits + (d.mix_bits if d.mixed else 0)
            total += d.states(p.size) * d.parts * words
        total += p.size * (program.formats.membrane_bits + program.formats.current_bits)
    return total


class _Search:
    def __init__(self, graph: Graph, stimulus: Stimulus, settings: Settings, bound: Bound) -> None:
        from mapping.reference import simulate

        self.graph, self.stimulus, self.bound = graph, stimulus, bound
        self.settings = settings
        self.real = simulate(graph, samples_of(stimulus), keep=graph.outputs)
        self.accuracy: float | None = None
        self.tried: dict[tuple[int, ...], Trial] = {}

    def program(self, widths: dict[str, int]) -> Program:
        from mapping.quantise import quantise

        settings = replace(self.settings.quantisation, **widths)  # type: ignore[arg-type]
        stimulus = self.stimulus
        return quantise(self.graph, stimulus.inputs, settings, lengths=stimulus.lengths)[0]

    def names(self) -> list[str]:
        """The widths that this model has."""
        program = self.program({})
        states = any(isinstance(p.dendrites, Diagonal) for p in program.populations)
        values = any(i.graded for i in program.inputs) or any(
            sends_value(p.fields["emit"]).any() for p in program.populations
        )
        has = {"weight_bits": True, "state_bits": states, "pole_bits": states,
               "payload_bits": values}  # fmt: skip
        return [name for name, _, _ in WIDTHS if has[name]]

    def trial(self, widths: dict[str, int]) -> Trial:
        key = tuple(widths.values())
        if key not in self.tried:
            self.tried[key] = self._run(widths)
        return self.tried[key]

    def _run(self, widths: dict[str, int]) -> Trial:
        from sim.golden.network import Golden
        from sim.stimulus import quantise_inputs

        try:
            program = self.program(widths)
        except UserError:  # a width that the model's numbers don't fit into
            return Trial(widths=dict(widths), bits=0, accuracy=None, sqnr_db=None, kept=False)
        stimulus, lengths = self.stimulus, self.stimulus.lengths
        events = quantise_inputs(program, stimulus)
        outputs = Golden(program).run(events, lengths, threads=os.cpu_count() or 1).outputs
        accuracy = self._accuracy(program, outputs)
        if self.accuracy is None:
            real = np.zeros(outputs.shape)
            real[:, : self.real.outputs.shape[1]] = self.real.outputs
            self.accuracy = self._accuracy(program, real)
        sqnr = self._sqnr(program, outputs)
        kept = True
        if self.bound.points is not None:
            if accuracy is None or self.accuracy is None:
                raise UserError(
                    f"{stimulus.source}: no labels, or no readout, to count right answers by; give "
                    "--sqnr instead of --points"
                )
            kept = accuracy >= self.accuracy - self.bound.points / 100 - 1e-12
        if self.bound.sqnr is not None:
            if sqnr is None:
                raise UserError("bits: the outputs are spikes, which have no SQNR; give --points")
            kept = kept and sqnr >= self.bound.sqnr
        return Trial(
            widths=dict(widths), bits=memory_bits(program), accuracy=accuracy, sqnr_db=sqnr,
            kept=kept,
        )  # fmt: skip

    def _accuracy(self, program: Program, outputs: np.ndarray) -> float | None:
        labels = self.stimulus.labels
        decided = decisions(program, outputs, self.stimulus.lengths)
        return None if labels is None or decided is None else float(np.mean(decided == labels))

    def _sqnr(self, program: Program, outputs: np.ndarray) -> float | None:
        total, first = Fidelity(), 0
        real = self.real.outputs
        valid = np.arange(real.shape[1]) < self.stimulus.lengths[:, None]
        for name in program.outputs:
            p = program.population(name)
            inside = slice(first, first + p.size)
            first += p.size
            values = real_values(p, outputs[:, : real.shape[1], inside])
            if values is None:
                return None
            total.add("", values, real[..., inside], valid)
        return total.sqnr_db().get("") if total.error.get("") else 200.0


def search_bits(
    model: Path | str,
    stimulus: Stimulus | Path,
    settings: Settings,
    bound: Bound,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[float | None, list[Trial]]:
    """(accuracy of the float model, the path of the search: the last Trial is what was found).

    stimulus : labelled input, or its file.

    Settings that are no width of this search stay as they are. CheckFailed if the widest formats
    break the bound.
    """
    from mapping.importers.load import load_graph
    from sim.stimulus import read_stimulus

    engine = settings.quantisation.engine
    if "crossbar" in (engine.values() if isinstance(engine, dict) else (engine,)):
        raise UserError(
            "bits: devices add errors of their own, which no width mends; search with another "
            "engine (--set engine=event)"
        )
    progress(f"reading {model}")
    graph = load_graph(model, settings.options)
    if isinstance(stimulus, Path):
        stimulus = read_stimulus(stimulus, inputs=sum(i.size for i in graph.inputs))
    progress("float model")
    search = _Search(graph, stimulus, settings, bound)
    names = search.names()
    widths = {name: start for name, _, start in WIDTHS if name in names}
    least = {name: low for name, low, _ in WIDTHS}
    path = [search.trial(widths)]
    if not path[0].kept:
        wide = ", ".join(f"{name} {value}" for name, value in widths.items())
        raise CheckFailed(f"{model}: even {wide} break the bound; loosen --points or --sqnr")
    while True:
        now = path[-1]
        best: Trial | None = None
        for name in names:
            if now.widths[name] == least[name]:
                continue
            progress(
                f"{now.bits:,} bits, trying {name} {now.widths[name] - 1}; "
                f"{len(search.tried)} tried"
            )
            trial = search.trial({**now.widths, name: now.widths[name] - 1})
            if trial.kept and trial.bits <= now.bits and (best is None or trial.bits < best.bits):
                best = trial
        if best is None:
            return search.accuracy, path
        path.append(best)
