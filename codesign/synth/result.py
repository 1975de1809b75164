"""What a synthesis run found, and whether it fits the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from codesign.boards import Board, boards
from codesign.synth.yosys import Memory, Netlist
from hdl.params.errors import CheckFailed

__all__ = ["DoesNotFit", "SynthResult", "overflows"]

_KNOBS = {
    "lut": "use fewer cores or lanes",
    "ff": "use fewer cores or lanes, and keep memories in block RAM",
    "bram": "use fewer weight bits, prune, or use fewer cores",
    "dsp": "use fewer SSM lanes or cores",
}
_NAMES = {"lut": "LUTs", "ff": "flip-flops", "bram": "block RAMs", "dsp": "multipliers"}


@dataclass(frozen=True, kw_only=True)
class SynthResult:
    """One design on one board. `lut` counts TRELLIS_COMB (LUTs, carries, LUT RAM) after placement,
    before it an estimate; `fmax_mhz` is the slowest clock of the best seed."""

    target: str
    lut: int
    ff: int
    bram: int
    dsp: int
    lutram: int
    capacity: Mapping[str, int]
    fits: bool
    fmax_mhz: float | None = None
    fmax_median_mhz: float | None = None
    fmax_by_seed: Mapping[int, float] = field(default_factory=dict)
    clocks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cycles_per_step: float | None = None
    bitstream: str | None = None
    critical_path: str | None = None
    memories: tuple[Memory, ...] = ()
    seed: int | None = None
    variant: str = "nowidelut"
    out_of_context: bool = False
    warnings: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data; the keys stay stable."""
        data = asdict(self)
        data["fmax_by_seed"] = {str(seed): mhz for seed, mhz in self.fmax_by_seed.items()}
        data["memories"] = [
            {**asdict(memory), "became": memory.became, "exploded": memory.exploded}
            for memory in self.memories
        ]
        data["warnings"], data["tools"] = list(self.warnings), list(self.tools)
        return data


class DoesNotFit(CheckFailed):
    """The design needs more than the board has; `result` holds what was counted."""

    def __init__(self, message: str, result: SynthResult) -> None:
        super().__init__(message)
        self.result = result


def overflows(netlist: Netlist, board: Board) -> list[str]:
    """One sentence for each resource of which the netlist needs more than the board has."""
    found = []
    for kind, name in _NAMES.items():
        need, have = getattr(netlist, kind), getattr(board.capacity, kind)
        if need <= have:
            continue
        larger = [
            other.name
            for other in boards().values()
            if getattr(other.capacity, kind) >= need and other.name != board.name
        ]
        knob = _KNOBS[kind]
        flat = [memory.name for memory in netlist.memories if memory.exploded]
        if flat and kind in ("lut", "ff"):
            knob = f"mend the memories that became flip-flops ({', '.join(flat)})"
        where = f", or the board {larger[0]}" if larger else ""
        found.append(f"{need} {name} of {have} (over by {need - have}): {knob}{where}")
    return found
