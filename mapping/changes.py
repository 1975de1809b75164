"""Who sends values, who sends changes of values (sigma-delta), and who may listen to changes."""

from __future__ import annotations

from hdl.params.neuron import Emit, sends_changes, sends_value
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.program import Population, Program

__all__ = ["adds_up", "all_changes", "any_changes", "change_problems", "is_held", "sends_values"]


def sends_values(program: Program, name: str) -> bool:
    """Whether an input is graded, or a population emits values or changes of values."""
    for i in program.inputs:
        if i.name == name:
            return i.graded
    return bool(sends_value(program.population(name).fields["emit"]).any())


def any_changes(program: Program, name: str) -> bool:
    """Whether an input or population has neurons that send changes."""
    found = {p.name: p for p in program.populations}.get(name)
    return found is not None and bool(sends_changes(found.fields["emit"]).any())


def all_changes(program: Program, name: str) -> bool:
    """Whether what an input or population sends is changes; so it is if it sends nothing."""
    found = {p.name: p for p in program.populations}.get(name)
    if found is None:
        return False
    emit = found.fields["emit"]
    return bool((sends_changes(emit) | (emit == Emit.NONE)).all())


def is_held(p: Population) -> bool:
    """Whether a population's inputs stay from step to step."""
    return isinstance(p.dendrites, Diagonal | Gate) and p.dendrites.held


def adds_up(program: Program, p: Population) -> bool:
    """Whether a population's current is the sum of all that came in, and its membrane is that."""
    return (
        p.dendrites is None
        and program.formats.current_bits > 0
        and bool((p.fields["current_decay"] == 1 << program.formats.decay_bits).all())
        and not p.fields["membrane_decay"].any()
    )


def change_problems(program: Program) -> list[str]:
    """One line for every broken rule; the Program is otherwise valid."""
    found = []
    one = 1 << program.formats.decay_bits
    for p in program.populations:
        sources = {q.source: None for q in program.projections if q.target == p.name}
        changing = [name for name in sources if any_changes(program, name)]
        others = [name for name in sources if not all_changes(program, name)]
        if changing and not is_held(p) and not adds_up(program, p):
            found.append(
                f"{p.name}: {changing[0]} sends changes, which nothing adds up: it must hold its "
                f"input, or sum exactly with current_decay {one} and membrane_decay 0"
            )
        if others and (is_held(p) or changing):
            found.append(f"{p.name}: {others[0]} must send changes only, as {p.name} adds them up")
    if program.readout != "none":
        found += [
            f"outputs: {name} sends changes, which readout {program.readout!r} can't read"
            for name in program.outputs
            if any_changes(program, name)
        ]
    return found
