"""A neuron's parameters at each stage of a pipeline, wherever they are stored."""

from amaranth.hdl import Array, Const, Module, Signal, Value

from hdl.params.neuron import CoreParams

__all__ = ["Fields"]


class Fields:
    """Looks up a field (hdl.params.neuron.FIELDS) as it is needed, `stage` cycles later.

    A field shared by the core is a number: the logic that uses it becomes simpler. A field shared
    by each range is chosen by the range's number, and only that travels through the pipeline. A
    field of its own for each neuron is taken from its record, which travels.

    Parameters
    ----------
    m : module that gets the pipeline registers.
    p : the core.
    record : record of the neuron (hdl.neuron.update.record_layout) at stage 0.
    number : number of its range at stage 0.
    move : the pipeline advances in this cycle (always if None).
    others : whatever else travels with the neuron, at stage 0, by name.
    """

    def __init__(
        self, m: Module, p: CoreParams, record, number: Value, move: Value | None = None, **others
    ):
        self.m, self.p, self.move = m, p, Const(1) if move is None else move
        self.travelling: dict[str, list[Value]] = {"range": [number]}
        self.travelling |= {name: [getattr(record, name)] for name in p.table_fields}
        self.travelling |= {name: [value] for name, value in others.items()}

    def at(self, stage: int, name: str) -> int | Value:
        """The field of the neuron that is in `stage`."""
        shared = self.p.shared.get(name)
        if shared is None:
            return self._travelled(stage, name)
        return shared if isinstance(shared, int) else self.of_range(stage, shared)

    def of_range(self, stage: int, numbers: tuple[int, ...]) -> int | Value:
        """Among `numbers`, one for each range, that of the neuron that is in `stage`."""
        if len(set(numbers)) == 1:
            return numbers[0]
        return Array(numbers)[self._travelled(stage, "range")]

    def may_be(self, name: str, *values: int) -> bool:
        """Whether any neuron of the core can have one of these values in this field."""
        shared = self.p.shared.get(name)
        if shared is None:
            return True
        return not set(values).isdisjoint(shared if isinstance(shared, tuple) else (shared,))

    def register(self, name: str, value: Value | int) -> Signal:
        """A register of the pipeline."""
        held = Signal(Value.cast(value).shape(), name=name, reset_less=True)
        with self.m.If(self.move):
            self.m.d.sync += held.eq(value)
        return held

    def _travelled(self, stage: int, name: str) -> Value:
        steps = self.travelling[name]
        while len(steps) <= stage:
            steps.append(self.register(f"{name}_{len(steps)}", steps[-1]))
        return steps[stage]
