"""Widths of a Program's words, and the fraction bits that layers have within them."""

from __future__ import annotations

from hdl.params.neuron import Emit
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
    fixed, has_current = settings.membrane_bits, any(p.layer.has_current for p in plans.values())
    pairs = [(plan, ranges[name]) for name, plan in plans.items()]

    def fits(plan: Plan, r: LayerRange, shift: int, membrane: int, current: int) -> bool:
        return plan.membrane_need(r, shift) <= membrane and (
            not has_current or plan.current_need(r, shift) <= current
        )

    for plan, r in pairs:
        while plan.shift > 0 and not fits(
            plan, r, plan.shift, fixed or 32, settings.current_bits or 32
        ):
            if plan.emit == Emit.VALUE and plan.value_shift == 0:
                break
            plan.set_shift(plan.shift - 1)
            plan.capped = True
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
                and plan.value_shift < 31
                and fits(plan, r, plan.shift + 1, membrane, current)
            ):
                plan.set_shift(plan.shift + 1)
    return Formats(
        membrane_bits=membrane,
        current_bits=current,
        decay_bits=settings.decay_bits,
        payload_bits=settings.payload_bits if graded else 0,
    )
