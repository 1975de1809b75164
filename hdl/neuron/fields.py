"""A neuron's parameters at each stage of a pipeline, wherever they are stored."""

from amaranth.hdl import Array, Module, Signal, Value

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
    """

    def __init__(self, m: Module, p: CoreParams, record, number: Value):
        self.m, self.p = m, p
        self.travelling: dict[str, list[Value]] = {"range": [number]}
        self.travelling |= {name: [getattr(record, name)] for name in p.table_fields}

    def at(self, stage: int, name: str) -> int | Value:
        """The field of the neuron that is in `stage`."""
        shared = self.p.shared.get(name)
        if shared is None:
            return self._travelled(stage, name)
        if isinstance(shared, int):
            return shared
        if len(set(shared)) == 1:
            return shared[0]
        return Array(shared)[self._travelled(stage, "range")]

    def may_be(self, name: str, value: int) -> bool:
        """Whether any neuron of the core can have this value in this field."""
        shared = self.p.shared.get(name)
        if shared is None:
            return True
        return value in (shared if isinstance(shared, tuple) else (shared,))

    def _travelled(self, stage: int, name: str) -> Value:
        steps = self.travelling[name]
        while len(steps) <= stage:
            register = Signal.like(steps[-1], name=f"{name}_{len(steps)}", reset_less=True)
            self.m.d.sync += register.eq(steps[-1])
            steps.append(register)
        return steps[stage]
