"""What a mapped design costs, from the models of codesign/cost: the one place that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.explore.trial import Answers
    from codesign.settings import Settings
    from mapping.mapped import Mapped

__all__ = ["costs", "estimate"]


def estimate(
    mapped: Mapped, answers: Answers, settings: Settings
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Values of OBJECTIVES that hardware has, and what to know of them."""
    from codesign.boards import board
    from codesign.cost.cycles import cycles
    from codesign.cost.energy import energy
    from codesign.cost.resources import resources

    area = resources(mapped.mesh, mapped.host)
    found = {name: float(getattr(area, name)) for name in ("lut", "ff", "bram", "dsp", "fmax_mhz")}
    done = cycles(mapped, answers.done)
    found["cycles"] = done.per_sample * answers.members
    found["latency_us"] = found["cycles"] / found["fmax_mhz"]
    spent = energy(
        mapped, answers.done, done, ff=found["ff"], mhz=found["fmax_mhz"],
        device=board(settings.board).device,
    )  # fmt: skip
    found["energy_uj"] = spent.uj * answers.members
    return found, area.warnings


def costs(
    guess: Mapping[str, float], area: Mapping[str, float], cycles: float, on: str
) -> dict[str, Any]:
    """All hardware values of a design whose area and cycles are better known than `guess`ed; on :
    the board."""
    from codesign.boards import board
    from codesign.cost.energy import moved

    before = guess["ff"], guess["cycles"], guess["fmax_mhz"]
    after = area["ff"], cycles, area["fmax_mhz"]
    uj = moved(guess["energy_uj"], before, after, board(on).device)
    latency = cycles / area["fmax_mhz"]
    return {**area, "cycles": cycles, "latency_us": latency, "energy_uj": uj}
