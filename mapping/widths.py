"""Widths of a Program's words, and the fraction bits that layers have within them."""

from __future__ import annotations

import numpy as np

from hdl.params.errors import UserError
from hdl.params.neuron import sends_value
from mapping.plan import Plan
from mapping.program import Formats
from mapping.ranges import LayerRange
from mapping.settings import Quantisation

__all__ = ["fit_formats"]


def fit_formats(
    plans: dict[str, Plan],
    ranges: dict[str, LayerRange],
    graded: bool,
    settings: Quantisation,
    notes: list[dict[str, str]],
) -> Formats:
    """Widths of the Program; fits the shifts to them."""
    fixed = settings.membrane_bits
    has_current = any(p.layer.has_current or p.adds_changes for p in plans.values())
    pairs = [(plan, ranges[name]) for name, plan in plans.items()]

    def fits(plan: Plan, r: LayerRange, shift: int, membrane: int, current: int) -> bool:
        return plan.membrane_need(r, shift) <= membrane and (
            not has_current or plan.current_need(r, shift) <= current
        )

    for plan, r in pairs:
        while plan.shift > 0 and not fits(
            plan, r, plan.shift, fixed or 32, settings.current_bits or 32
        ):
            if sends_value(plan.emit) and np.min(plan.value_shift) == 0:
                break
            plan.set_shift(plan.shift - 1)
            plan.capped = True
        _check_changes(plan, r, settings.current_bits or 32)
    least = settings.payload_bits if graded else 2
    need = max([least, *(plan.membrane_need(r, plan.shift) for plan, r in pairs)])
    membrane = fixed or min(need, 32)
    need = max([least, *(plan.current_need(r, plan.shift) for plan, r in pairs)])
    current = (settings.current_bits or min(need, 32)) if has_current else 0
    for plan, r in pairs:
        name = plan.layer.name
        if plan.capped:
            notes.append(
                {
                    "node": name,
                    "change": f"membrane has {plan.shift} fraction bits, fewer than the rule asks",
                    "effect": "rounding of the decay may move spikes; allow more membrane_bits",
                }
            )
        for what, width, wanted in (
            ("membrane", membrane, plan.membrane_need(r, plan.shift)),
            ("current", current or 32, plan.current_need(r, plan.shift) if has_current else 0),
        ):
            if wanted > width:
                notes.append(
                    {
                        "node": name,
                        "change": f"{what} has {width} bits where twice the calibrated range "
                        f"takes {wanted}",
                        "effect": "it saturates beyond its range",
                    }
                )
        if settings.fraction_bits is None and plan.rounds:
            # Width that other layers need anyway is spent on fraction bits.
            while (
                plan.shift < 15
                and np.max(plan.value_shift) < 31
                and fits(plan, r, plan.shift + 1, membrane, current)
            ):
                plan.set_shift(plan.shift + 1)
    return Formats(
        membrane_bits=membrane,
        current_bits=current,
        decay_bits=settings.decay_bits,
        payload_bits=settings.payload_bits if graded else 0,
        table_bits=settings.table_bits if any(p.table is not None for p in plans.values()) else 0,
    )


def _check_changes(plan: Plan, r: LayerRange, current: int) -> None:
    """A UserError if sums of changes could saturate: the error would stay for ever."""
    if plan.adds_changes and (need := plan.current_need(r, plan.shift)) > current:
        raise UserError(
            f"{plan.layer.name}: sums of changes need {need} current bits, {current} available; "
            "use fewer weight_bits or payload_bits, or no delta for the layers that feed it"
        )
