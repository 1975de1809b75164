"""What a run of the golden network gives."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["GoldenResult", "State"]


class State(NamedTuple):
    """Membrane and current of a population (or how often each was clamped to its range)."""

    membrane: np.ndarray
    current: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenResult:
    """What a run gave. Arrays are int64; dictionaries are keyed by population.

    Members
    -------
    outputs : [samples, steps, output_size], the emission of each output neuron: 0 or 1 for
        SPIKE, the payload for VALUE, the membrane for STATE; 0 after the sample's end.
    final : state [samples, size] after each sample's last step.
    state : state [samples, steps, size] after each step (0 after the sample's end), if recorded.
    inner : what else a population remembers after each sample's last step, by name: "sent"
        [samples, size], values of which changes were sent; "states" [samples, states, parts];
        "draws" [samples, states], generators of stochastic rounding; "held" [samples, size], of
        gates [samples, size, 2]. Only what it has.
    inner_state : the same [samples, steps, ...] after each step, if recorded.
    events : [samples] events that the population emitted (of spikes, values and changes).
    input_events : [samples] events of the stimulus.
    synaptic_operations : [samples] one for each stored synapse of each event delivered.
    neuron_updates : [samples] one for each neuron and step.
    saturations : [samples] how often a sum was clamped to the range of membrane or current.
    state_saturations : [samples] of populations with states, how often a part of one was clamped.
    stream_bits : [samples] for stochastic populations, the lengths of streams that were used,
        summed over neurons and steps: 2**log2_length each unless one terminated early.
    cell_reads, conversions : [samples] for crossbar populations, devices that were read (all the
        columns of each driven row of each bank), and codes that were converted.
    """

    outputs: np.ndarray
    final: dict[str, State]
    state: dict[str, State] | None
    inner: dict[str, dict[str, np.ndarray]]
    inner_state: dict[str, dict[str, np.ndarray]] | None
    events: dict[str, np.ndarray]
    input_events: np.ndarray
    synaptic_operations: np.ndarray
    neuron_updates: np.ndarray
    saturations: dict[str, State]
    state_saturations: dict[str, np.ndarray]
    stream_bits: dict[str, np.ndarray]
    cell_reads: dict[str, np.ndarray]
    conversions: dict[str, np.ndarray]

    @property
    def spikes(self) -> np.ndarray:
        """uint8, 1 where an output is not 0."""
        return (self.outputs != 0).astype(np.uint8)

    def snapshot(self) -> dict[str, dict[str, np.ndarray]]:
        """All that the network remembers, for another run to start from."""
        return {name: {**state._asdict(), **self.inner[name]} for name, state in self.final.items()}
