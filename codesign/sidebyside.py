"""Golden model and float model of an artefact side by side on the same samples."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.activity import chunks, observed
from codesign.artefact import Artefact
from codesign.fidelity import Fidelity, real_values
from codesign.simulate import decisions, samples_of
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal

if TYPE_CHECKING:
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["Models"]

#: Outputs up to which a confusion matrix is kept.
MOST_CLASSES = 40


class Models:
    """Golden model and float model side by side, part by part."""

    def __init__(self, artefact: Artefact, stimulus: Stimulus, given: np.ndarray) -> None:
        self.artefact, self.stimulus, self.given = artefact, stimulus, given
        self.program: Program = artefact.program
        self.outputs: dict[str, np.ndarray] = {}
        self.decided: dict[str, np.ndarray | None] = {}
        self.events = {p.name: 0 for p in self.program.populations}
        self.input_events = self.operations = self.updates = 0
        self.saturations = dict.fromkeys(self.events, 0)
        self.stream_bits: dict[str, int] = {}
        self.fidelity = Fidelity()
        self.both, self.either = dict.fromkeys(self.events, 0), dict.fromkeys(self.events, 0)

    def golden_and_float(self, with_float: bool, progress: Any) -> None:
        """Runs all samples and collects counts."""
        from mapping.reference import simulate
        from sim.golden.network import Golden

        say = progress or (lambda text: None)
        count = getattr(progress, "count", lambda done, total: None)
        say("running golden model" + (" and float model" if with_float else ""))
        wide, places = observed(self.program)
        golden, graph = Golden(wide), self.artefact.graph if with_float else None
        stimulus, lengths = self.stimulus, self.stimulus.lengths
        parts: dict[str, list[np.ndarray]] = {"golden": [], "float": [], "float again": []}
        drawn = graph.random if graph else frozenset()
        for part in chunks(self.program, stimulus.samples, stimulus.steps):
            ran = golden.run(self.given[part], lengths[part], threads=os.cpu_count() or 1)
            sent = [ran.outputs[..., places[name]] for name in self.program.outputs]
            parts["golden"].append(np.concatenate(sent, axis=2))
            self.input_events += int(ran.input_events.sum())
            self.operations += int(ran.synaptic_operations.sum())
            self.updates += int(ran.neuron_updates.sum())
            for name in self.events:
                self.events[name] += int(ran.events[name].sum())
                self.saturations[name] += int(sum(map(np.sum, ran.saturations[name])))
            for name, bits in ran.stream_bits.items():
                self.stream_bits[name] = self.stream_bits.get(name, 0) + int(bits.sum())
            if graph is not None:
                shown = samples_of(replace(stimulus, inputs=stimulus.inputs[part],
                                           lengths=lengths[part]))  # fmt: skip
                real = simulate(graph, shown)
                short = ((0, 0), (0, stimulus.steps - real.outputs.shape[1]), (0, 0))
                parts["float"].append(np.pad(real.outputs, short))
                if drawn & set(graph.outputs):
                    again = simulate(graph, shown, keep=graph.outputs, seed=1)
                    parts["float again"].append(np.pad(again.outputs, short))
                for name, values in real.layers.items():
                    if name in places and name not in drawn:
                        mine = ran.outputs[:, : values.shape[1], places[name]]
                        self._compare(name, mine, values, lengths[part])
            count(part.stop, stimulus.samples)
        for name, arrays in parts.items():
            if arrays:
                self.outputs[name] = np.concatenate(arrays)
                self.decided[name] = decisions(self.program, self.outputs[name], lengths)

    def _compare(self, name: str, sent: np.ndarray, real: np.ndarray, lengths: np.ndarray) -> None:
        """Counts what a layer [samples, steps, size] did in both models."""
        if real.dtype == np.bool_:
            mine = sent != 0
            self.both[name] += int(np.count_nonzero(mine & real))
            self.either[name] += int(np.count_nonzero(mine | real))
        elif (values := real_values(self.program.population(name), sent)) is not None:
            valid = np.arange(real.shape[1]) < lengths[:, None]
            self.fidelity.add(name, values, real, valid)

    def state_updates(self) -> float:
        """Updates of states of diagonal recurrences, per sample."""
        states = sum(
            p.dendrites.states(p.size)
            for p in self.program.populations
            if isinstance(p.dendrites, Diagonal)
        )
        return self.mean(states * int(self.stimulus.lengths.sum()))

    def activity(self) -> dict[str, float]:
        """By population, the share of its neurons that sent something in a step."""
        steps = max(int(self.stimulus.lengths.sum()), 1)
        sizes = {p.name: p.size for p in self.program.populations}
        return {name: count / (steps * sizes[name]) for name, count in self.events.items()}

    def mean(self, total: int) -> float:
        """Per sample."""
        return total / max(self.stimulus.samples, 1)

    def accuracy(self, name: str) -> float | None:
        """Share of right decisions."""
        decided, labels = self.decided.get(name), self.stimulus.labels
        return None if decided is None or labels is None else np.mean(decided == labels).item()

    def agreement(self, other: str = "golden") -> float | None:
        """Share of samples that the float model and another ("float again": with other draws of
        attention heads) decide alike."""
        real, second = self.decided.get("float"), self.decided.get(other)
        return None if real is None or second is None else np.mean(real == second).item()

    def spike_agreement(self) -> dict[str, float]:
        """Per spiking layer that does not depend on random draws, common spikes over all spikes."""
        seen = {name: count for name, count in self.either.items() if count}
        return {name: self.both[name] / count for name, count in seen.items()}

    def streams(self) -> dict[str, dict[str, Any]]:
        """By stochastic layer, the bits of a stream, and the mean number that a sum took."""
        found = {}
        for p in self.program.populations:
            if isinstance(p.dendrites, Streams):
                sums = max(int(self.stimulus.lengths.sum()) * p.size, 1)
                length = 1 << p.dendrites.log2_length
                found[p.name] = {"length": length, "mean": self.stream_bits[p.name] / sums}
        return found

    def confusion(self) -> list[list[int]] | None:
        """Counts [label][decision] of the golden model."""
        decided, labels, size = (
            self.decided.get("golden"), self.stimulus.labels, self.program.output_size,
        )  # fmt: skip
        if decided is None or labels is None or size > MOST_CLASSES:
            return None
        counts = np.zeros((size, size), np.int64)
        np.add.at(counts, (labels, decided), 1)
        return counts.tolist()
