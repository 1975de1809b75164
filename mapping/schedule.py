"""When each level is updated: steps on the clock of ticks.

A tick is one STEP word: the levels of its mask are updated, then all events that they send are
delivered. Steps start `interval` ticks apart. Level l is updated for step s in tick
``s*interval + l - 1``; the input events of step s are sent just before tick ``s*interval``.

An accumulator is emptied by its owner's update, so an event must arrive after the update of the
step before the one it is meant for, and before the update it is meant for:

    delay 0, level k -> j (inputs are level 0)    1 <= j - k <= interval
    delay 1, level k -> j                         0 <= k - j <  interval

An interval below the depth is a pipeline: several steps are in flight, no result changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hdl.params.errors import UserError

__all__ = ["Edge", "Schedule"]

Edge = tuple[int, int, int, str]  #: source level, target level, delay, what to call it


@dataclass(frozen=True)
class Schedule:
    """Ticks of a network of `depth` levels whose steps start `interval` ticks apart."""

    interval: int
    depth: int

    def __post_init__(self) -> None:
        for name in ("interval", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @classmethod
    def fit(cls, edges: Iterable[Edge], depth: int, interval: int | None = None) -> Schedule:
        """The shortest interval that keeps the meaning of all edges, or the one asked for."""
        least, reason, wrong = 1, "", []
        for source, target, delay, name in edges:
            if delay not in (0, 1):
                wrong.append(f"{name}: delay must be 0 or 1, not {delay}")
                continue
            if delay == 0 and target <= source:
                wrong.append(f"{name}: delay 0 must go up in level, not {source} -> {target}")
                continue
            if delay == 1 and target > source:
                wrong.append(f"{name}: delay 1 must not go up in level, not {source} -> {target}")
                continue
            need = target - source if delay == 0 else source - target + 1
            if need > least:
                least, reason = need, name
        if wrong:
            raise UserError("; ".join(wrong))
        if interval is not None and interval < least:
            raise UserError(f"interval must be at least {least} for {reason}, not {interval}")
        return cls(interval or least, max(depth, 1))

    def ticks(self, steps: int) -> int:
        """Ticks that `steps` steps take."""
        return (steps - 1) * self.interval + self.depth if steps > 0 else 0

    def tick_of(self, level: int, step: int) -> int:
        """The tick that updates `level` (from 1) for `step` (from 0)."""
        return step * self.interval + level - 1

    def input_tick(self, step: int) -> int:
        """The tick before whose STEP the input events of `step` are sent."""
        return step * self.interval

    def masks(self, steps: int) -> np.ndarray:
        """Level mask of each tick, uint64: bit l - 1 is level l."""
        masks = np.zeros(self.ticks(steps), dtype=np.uint64)
        first = np.arange(max(steps, 0)) * self.interval
        for level in range(self.depth):
            masks[first + level] |= np.uint64(1 << level)
        return masks
