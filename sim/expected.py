"""The fabric's answer as it must be, in a form that does not depend on timing."""

from __future__ import annotations

import numpy as np

from hdl.params.host import ReplyOp
from hdl.params.neuron import Emit
from mapping.mapped import Mapped
from sim.protocol import output_levels, replies
from sim.states import States, state_runs
from sim.words import event_body, flit_words, split_marks, u64

__all__ = ["canonical", "expected"]


def canonical(mapped: Mapped, words: np.ndarray) -> np.ndarray:
    """Words that don't depend on timing: events sorted within a tick, cycle counts 0.

    Configuration replies keep their order, which is part of their meaning.
    """
    words = np.asarray(words, dtype=np.uint64)
    flit = mapped.mesh.flit
    mark, before = split_marks(mapped, words)
    config = ~mark & ((words >> u64(flit.body_bits)) & u64(1) == 1)
    out = np.where(mark, u64(ReplyOp.MARK << mapped.host.body_bits), words)
    rank = np.where(config, np.uint64(0), out)
    return out[np.lexsort((rank, config, mark, before))]


def expected(
    mapped: Mapped,
    outputs: np.ndarray,
    probes: States | None = None,
    *,
    clear: bool = True,
) -> np.ndarray:
    """The canonical answer with these outputs [samples, steps, outputs] (and final states)."""
    outputs = np.asarray(outputs, dtype=np.int64)
    if outputs.ndim == 2:
        outputs = outputs[None]
    samples, steps, _ = outputs.shape
    each = replies(mapped, steps, clear=clear, probe=probes is not None)
    level, emit = output_levels(mapped)
    sample, step, number = np.nonzero((outputs != 0) | (emit == Emit.STATE))
    value = outputs[sample, step, number]
    flits = flit_words(mapped, event_body(mapped, number, value), 1, 1)
    tick = step * mapped.schedule.interval + level[number] - 1
    turns = [sample * each + tick + clear + 1, np.arange(samples * each)]
    words = [flits, np.full(samples * each, ReplyOp.MARK << mapped.host.body_bits, np.uint64)]
    if probes is not None:
        runs = list(state_runs(mapped, probes, samples))
        for k, (_, _, chunks) in enumerate(runs):
            turn = (np.arange(samples) + 1) * each - len(runs) + k
            words.append(flit_words(mapped, chunks.reshape(-1), 1, 1, kind=1))
            turns.append(np.repeat(turn, chunks[0].size))
    turn, word = np.concatenate(turns), np.concatenate(words)
    mark = (word >> u64(mapped.host.body_bits)) == ReplyOp.MARK
    return canonical(mapped, word[np.lexsort((mark, turn))])
