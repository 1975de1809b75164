"""Cycles that a mapped network takes, from what its neurons sent: no RTL is built.

`cycles` follows every flit of every tick through the documented timing of cores, network and host
port (codesign/cost/ticks.py). What it leaves out: flits that meet may swap (a few percent where
cores without queues hold up the network), a bit-stream that terminates early takes its sample's
mean length, and the first clear after power-up, in which crossbars age their devices, counts as any
other. `expected_cycles` does the same for mean rates alone, as if all steps were alike: bursts,
which the slowest core waits for, are left out too. `tests/bench/bench_cycles.py` prints the errors
of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.activity import observed
from codesign.cost.sums import ARRAY, STREAMS
from codesign.cost.ticks import CAUSES, COUNTS, OF_CORE, run_ticks
from codesign.cost.wiring import Wiring, wire
from hdl.params.sc.dense import Streams
from mapping.mapped import Mapped
from mapping.program import Program
from sim.golden.network import Golden, GoldenResult

__all__ = ["Activity", "Cycles", "activity", "cycles", "expected_cycles", "steady"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Activity:
    """What a Program did with a stimulus: all that cycles and energy depend on, but the mapping.

    events [samples, steps, inputs], lengths [samples] : the stimulus. sent [samples, steps,
    neurons] : emissions of all populations. stream_bits : by stochastic population, bits of all its
    streams [samples]. alive [neurons] : share of the steps after which a membrane was not 0.
    """

    events: np.ndarray
    lengths: np.ndarray
    sent: np.ndarray
    stream_bits: dict[str, np.ndarray]
    alive: np.ndarray

    @classmethod
    def of(cls, events: np.ndarray, lengths: np.ndarray, ran: GoldenResult) -> Activity:
        """Of a run of the Program with all populations as outputs (codesign/activity.py).

        Without recorded states all membranes count as alive.
        """
        alive = np.ones(ran.outputs.shape[2])
        if ran.state is not None:
            membranes = [np.count_nonzero(s.membrane, axis=(0, 1)) for s in ran.state.values()]
            alive = np.concatenate(membranes) / max(int(np.sum(lengths)), 1)
        return cls(
            events=events,
            lengths=np.asarray(lengths),
            sent=ran.outputs,
            stream_bits=ran.stream_bits,
            alive=alive,
        )


def activity(program: Program, events: np.ndarray, lengths: np.ndarray | None = None) -> Activity:
    """Runs the golden model."""
    samples, steps = events.shape[:2]
    lengths = np.full(samples, steps) if lengths is None else np.asarray(lengths)
    wide, _ = observed(program)
    golden = Golden(wide)
    return Activity.of(events, lengths, golden.run(events, lengths, record_state=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Cycles:
    """Cycles of samples, from a sample's clear to its last answer, as RtlResult.cycles counts.

    each : int64 [samples]. per_tick : [samples, 1 + ticks], the clear and the first inputs first.
    per_sample, per_step : means. longest : of any sample. bound_by : who most cycles wait for:
    "core at tile 3" or "host". parts : mean cycles a sample by what the last one to rest was at
    (CAUSES: "update", "events" that it heard, "sending", "input" and "output" of the host,
    "barrier"). waits : share of the cycles that each core, and the host, was waited for.
    counts : mean a sample: "flits" that entered the network, "hops" (links that they crossed),
    "host_flits" to the host; and of all cores "events" taken, "words" (cycles that taking them
    took: of event-driven cores words of synapses), "updates" (words of neurons), "scans", "tiles"
    (of streams with events, a step each), "rows" driven and "codes" converted (of crossbars).
    of_core : the latter by core, [cores, 7] in the order of OF_CORE.
    """

    each: np.ndarray
    per_tick: np.ndarray
    per_sample: float
    per_step: float
    longest: int
    bound_by: str
    parts: dict[str, float]
    waits: dict[str, float]
    counts: dict[str, float]
    of_core: np.ndarray


def _bits(mapped: Mapped, w: Wiring, done: Activity) -> np.ndarray:
    """Mean bits of a stream, [samples, cores]; 1 where there are none."""
    names = [p.name for p in mapped.program.populations]
    first = np.cumsum([0, *(p.size for p in mapped.program.populations)])
    bits = np.ones((len(done.lengths), len(w.tile)))
    for c in np.flatnonzero(w.cores[0] == STREAMS):
        neuron = w.neurons[0, w.ranges[2, w.first[0, c]]]
        name = names[int(np.searchsorted(first, neuron, side="right")) - 1]
        sums = np.maximum(done.lengths * mapped.program.population(name).size, 1)
        bits[:, c] = np.maximum(done.stream_bits[name] / sums, 1.0)
    return bits


def cycles(mapped: Mapped, done: Activity) -> Cycles:
    """Cycles of a mapped network for what its Program did."""
    w, schedule = wire(mapped), mapped.schedule
    samples, steps, _ = done.events.shape
    cores, ticks = len(w.tile), schedule.ticks(steps)
    banks = int(w.axons[2].max(initial=0)) + 1
    arrays = w.numbers[w.cores[0] == ARRAY]
    levels = int(max([1, *(arrays[:, 5] * np.where(arrays[:, 4] > 0, 2, 1))]))
    per_tick = np.zeros((samples, 1 + ticks), np.int64)
    causes = np.zeros((samples, len(CAUSES)), np.int64)
    slowest = np.zeros((samples, cores + 1), np.int64)
    counts = np.zeros((samples, len(COUNTS)), np.int64)
    of_core = np.zeros((samples, cores, len(OF_CORE)), np.int64)
    run_ticks(
        0, samples, w, done.lengths.astype(np.int64), schedule.interval, schedule.depth,
        bool(mapped.delayed_routes), done.events.astype(np.int64), done.sent,
        _bits(mapped, w, done), banks, levels,
        per_tick, causes, slowest, counts, of_core,
    )  # fmt: skip
    each = per_tick.sum(axis=1)
    total = max(int(each.sum()), 1)
    names = [*(f"core at tile {tile}" for tile in w.tile), "host"]
    share = slowest.sum(axis=0) / total
    means = dict(zip(COUNTS, counts.mean(axis=0).tolist(), strict=True))
    means |= dict(zip(OF_CORE, of_core.sum(axis=1).mean(axis=0).tolist(), strict=True))
    mean = float(each.mean()) if samples else 0.0
    return Cycles(
        each=each,
        per_tick=per_tick,
        per_sample=mean,
        per_step=mean / max(float(done.lengths.mean()), 1e-9) if samples else 0.0,
        longest=int(each.max(initial=0)),
        bound_by=names[int(share.argmax())],
        parts=dict(zip(CAUSES, causes.mean(axis=0).tolist(), strict=True)),
        waits={n: float(s) for n, s in zip(names, share, strict=True) if s > 0},
        counts=means,
        of_core=of_core.mean(axis=0),
    )


#: Steps that stand for all, of mean rates; phases of sources, spread by the golden ratio.
STEADY_STEPS, PHASE = 16, 0.6180339887498949


def steady(program: Program, counted: np.ndarray, steps: int = STEADY_STEPS) -> Activity:
    """One sample in which each source sends at its mean rate, as evenly as can be.

    counted : [inputs + neurons] events per step (codesign/activity.py: measured). All values are 1;
    no bit-stream terminates early.
    """
    rates = np.clip(np.asarray(counted, np.float64), 0, 1)
    phase = np.arange(len(rates)) * PHASE % 1
    sent = np.diff(np.floor(np.arange(steps + 1)[:, None] * rates + phase), axis=0)
    inputs = program.input_size
    values = sent.astype(np.int64)[None]
    return Activity(
        events=values[..., :inputs],
        lengths=np.array([steps]),
        sent=np.ascontiguousarray(values[..., inputs:]),
        stream_bits={
            p.name: np.array([steps * p.size << p.dendrites.log2_length])
            for p in program.populations
            if isinstance(p.dendrites, Streams)
        },
        alive=np.ones(len(rates) - inputs),
    )


def expected_cycles(mapped: Mapped, counted: np.ndarray, steps: int = STEADY_STEPS) -> Cycles:
    """Cycles of one sample of so many steps, from mean rates (`steady`) and nothing else."""
    return cycles(mapped, steady(mapped.program, counted, steps))
