"""The designs that are searched: parameters with their values, derived from the model.

A genome is the index of a value for every parameter. What it makes is a choice: values by name,
without those that say nothing in this design (the stream length where no layer is stochastic), so
that equal designs have equal choices. A choice becomes settings of `nervure compile`, and two
things that are none: `steps` of a sample that run, and `members` of an ensemble of noisy reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from codesign.explore.plan import Plan
from hdl.params.errors import UserError
from hdl.params.neuron import sends_value
from hdl.params.ssm.diagonal import Diagonal
from mapping.mapped import Target
from mapping.settings import BY_LAYER, ENGINES, Quantisation

if TYPE_CHECKING:
    from codesign.settings import Settings
    from mapping.graph import Graph
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["HARDWARE", "Parameter", "Space", "derive"]

#: Settings that change no answer, only what it costs.
HARDWARE = frozenset(f.name for f in fields(Target))
#: Of a choice, but no settings.
APART = ("steps", "members")
#: The engine without which a parameter says nothing.
NEEDS = {
    "stream_length": "stochastic", "stream_lanes": "stochastic", "generator": "stochastic",
    "generators": "stochastic", "tolerance": "stochastic", "margin": "stochastic",
    "first_length": "stochastic", "device": "crossbar", "sampling": "crossbar",
    "array_rows": "crossbar", "array_columns": "crossbar", "pairs": "crossbar",
    "cell_bits": "crossbar", "adc_bits": "crossbar", "converters": "crossbar",
    "members": "crossbar",
}  # fmt: skip
#: Settings that may be given by layer.
NAMED = (*BY_LAYER, "weight_bits")


@dataclass(frozen=True)
class Parameter:
    """values : from small hardware to large if `ordered`, else as they come."""

    name: str
    values: tuple[Any, ...]
    ordered: bool = True

    @property
    def setting(self) -> str:
        """Without the layer."""
        return self.name.partition(".")[0]

    @property
    def layer(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True)
class Space:
    """parameters : that are searched. base : what holds besides, flat settings with those fixed."""

    parameters: tuple[Parameter, ...]
    base: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Genomes; some of them make the same choice."""
        total = 1
        for p in self.parameters:
            total *= len(p.values)
        return total

    def choice(self, genome: Mapping[str, int]) -> dict[str, Any]:
        """What a genome chooses."""
        made = {p.name: p.values[genome[p.name]] for p in self.parameters}
        engines = {v for name, v in made.items() if name.partition(".")[0] == "engine"}
        if not engines:
            fixed = self.base.get("engine", "event")
            engines = set(fixed.values()) if isinstance(fixed, dict) else {fixed}
        for p in self.parameters:
            if (need := NEEDS.get(p.setting)) and need not in engines:
                del made[p.name]
        for name, limit in (("update_lanes", "lanes"), ("width", "cores")):
            if name in made:
                made[name] = self._within(name, made[name], made.get(limit, self.base.get(limit)))
        return made

    def _within(self, name: str, value: Any, most: Any) -> Any:
        """A value, or the largest one of the parameter that is no more than `most`."""
        if value is None or most is None or value <= most:
            return value
        values = next(p.values for p in self.parameters if p.name == name)
        if None in values and name == "width":
            return None
        return max((v for v in values if v is not None and v <= most), default=value)

    def settings(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        """The flat settings of a choice; what stands in `base` is not repeated."""
        found: dict[str, Any] = {}
        for name, value in choice.items():
            setting, _, layer = name.partition(".")
            if setting in APART:
                continue
            if not layer:
                found[setting] = value
                continue
            if setting not in found:
                usual = self.base.get(setting, getattr(Quantisation(), setting))
                found[setting] = dict(usual) if isinstance(usual, dict) else {"*": usual}
            found[setting][layer] = value
        # A length that is longer than every layer's source is cut, and that is noted: no error.
        if isinstance(length := found.get("stream_length"), int):
            found["stream_length"] = {"*": length}
        return found

    def starts(self) -> Iterator[dict[str, int]]:
        """Genomes to begin with: the settings as they are, the smallest design, the widest."""
        yield {p.name: p.values.index(usual) if (usual := self._usual(p)) in p.values else 0
               for p in self.parameters}  # fmt: skip
        for end in (0, -1):
            yield {p.name: end % len(p.values) if p.ordered else 0 for p in self.parameters}

    def _usual(self, p: Parameter) -> Any:
        value = self.base.get(p.setting)
        return value.get(p.layer, value.get("*")) if isinstance(value, dict) else value

    def to_json(self) -> dict[str, Any]:
        """Values by parameter."""
        return {p.name: list(p.values) for p in self.parameters}


def _powers(most: int, least: int = 1) -> tuple[int, ...]:
    return tuple(1 << k for k in range(least.bit_length() - 1, most.bit_length()))


class _Probe:
    """What quantisation makes of the model, with one setting or the other."""

    def __init__(self, graph: Graph, calibration: Stimulus, settings: Settings) -> None:
        self.graph, self.calibration, self.settings = graph, calibration, settings
        self.program = self.made()

    def made(self, **changes: Any) -> Program:
        from mapping.quantise import quantise

        shown = self.calibration
        settings = replace(self.settings.quantisation, **changes)
        return quantise(self.graph, shown.inputs, settings, lengths=shown.lengths)[0]

    def layers(self, engine: str) -> tuple[str, ...]:
        """Those that an engine other than "event" would change."""
        if engine == "crossbar":
            return tuple(p.name for p in self.program.populations if self._on_devices(p.name))
        try:
            program = self.made(engine=engine)
            plain = {p.name: p.dendrites for p in self.made(engine="event").populations}
        except UserError:
            return ()
        return tuple(
            p.name for p in program.populations
            if p.name in plain and type(p.dendrites) is not type(plain[p.name])
        )  # fmt: skip

    def _on_devices(self, name: str) -> bool:
        """Whether a layer can be a crossbar."""
        from codesign.crossbar.devices import crossbar_of
        from mapping.crossbar import crossbar_population

        p = self.program.population(name)
        into = any(q.target == name for q in self.program.projections)
        if p.kind == "Delay" or p.dendrites is not None or not into:
            return False
        try:
            crossbar_population(self.program, name, crossbar_of(self.settings.crossbar))
        except UserError:
            return False
        return True


def _allowed(graph: Graph, plan: Plan) -> tuple[str, ...]:
    if plan.engines is not None:
        for engine in plan.engines:
            if engine not in ENGINES:
                raise UserError(f"engines: must be of {', '.join(ENGINES)}, not {engine!r}")
        return plan.engines
    spiking = any(layer.spiking for layer in graph.layers)
    native = any(layer.dendrites is not None for layer in graph.layers)
    return ("event", "stochastic") if spiking and not native else ("event",)


def _usual(
    probe: _Probe, stimulus: Stimulus, allowed: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Any, ...], bool]]:
    """(name, values, ordered) of what is searched where the plan says nothing."""
    from hdl.params.sc.dense import Streams
    from mapping.kinds import kinds_of

    program, settings = probe.program, probe.settings
    largest = max((p.size for p in program.populations), default=1)
    yield "weight_bits", ("ternary", 2, 3, 4, 5, 6, 7, 8), True
    states = any(isinstance(p.dendrites, Diagonal) for p in program.populations)
    if states:
        yield "state_bits", (8, 10, 12, 14, 16, 18), True
        yield "pole_bits", (8, 10, 12, 14, None), True
    if any(i.graded for i in program.inputs) or any(
        sends_value(p.fields["emit"]).any() for p in program.populations
    ):
        yield "payload_bits", (4, 5, 6, 7, 8, 10), True
    if hasattr(settings.quantisation, "prune"):
        yield "prune", (0.9, 0.75, 0.5, 0.25, 0.0), True
    if "stochastic" in allowed:
        made = probe.made(engine="stochastic", weight_bits=8, stream_length=None)
        bits = [p.dendrites.source_bits for p in made.populations
                if isinstance(p.dendrites, Streams)]  # fmt: skip
        if bits:
            yield "stream_length", _powers(min(1 << max(bits), 256), 8), True
            yield "stream_lanes", _powers(128, 8), True
    if "crossbar" in allowed:
        from sim.device.table import load_devices

        usual = settings.crossbar.device
        known = load_devices(settings.crossbar.device_table)
        yield "device", (usual, *(n for n in known if n not in (usual, "ideal"))), False
        yield "adc_bits", (4, 5, 6, 7, 8, 10), True
        yield "array_rows", (32, 64, 128), True
        yield "array_columns", (32, 64, 128), True
        if settings.crossbar.sampling != "none":
            yield "members", (1, 2, 4, 8), True
    yield "lanes", _powers(min(64, 1 << (largest - 1).bit_length())), True
    if any(p.dendrites is None for p in program.populations):
        yield "update_lanes", (None, *_powers(8)), True
    if states:
        yield "state_lanes", _powers(8), True
    neurons = sum(p.size for p in program.populations)
    least = len(kinds_of(program))
    more = (n for n in (1, 2, 3, 4, 6, 8, 9, 12, 16) if least < n <= neurons // 4)
    cores = (least, *more)
    yield "cores", cores, True
    if cores[-1] > 2:
        yield "width", (None, 1, 2), False
    yield "fifo", tuple(sorted({0, 4, 16, 64, settings.target.fifo})), True
    whole = int(stimulus.lengths.max())
    if program.readout != "none" and whole >= 4:
        yield "steps", (*sorted({whole // 4, whole // 2, whole * 3 // 4}), None), True


def derive(graph: Graph, stimulus: Stimulus, calibration: Stimulus, settings: Settings,
           plan: Plan) -> Space:  # fmt: skip
    """The space of a model; UserError for values that no setting can have."""
    settings = settings.with_values(dict(plan.fix), "fix")
    probe = _Probe(graph, calibration, settings)
    allowed = _allowed(graph, plan)
    given = dict(plan.vary)
    values: dict[str, tuple[tuple[Any, ...], bool]] = {}
    engines = {e: probe.layers(e) for e in allowed if e != "event"}
    for p in probe.program.populations:
        able = ("event", *(e for e, names in engines.items() if p.name in names))
        able = tuple(e for e in able if e in allowed)
        if len(able) > 1 and "engine" in plan.by_layer:
            values[f"engine.{p.name}"] = able, False
    if "engine" not in plan.by_layer and len(allowed) > 1:
        values["engine"] = allowed, False
    for name, usual, ordered in _usual(probe, stimulus, allowed):
        if name in plan.by_layer and name in NAMED:
            values |= {f"{name}.{p.name}": (usual, ordered) for p in probe.program.populations}
        else:
            values[name] = usual, ordered
    for name, wanted in given.items():
        setting, _, layer = name.partition(".")
        known = [p.name for p in probe.program.populations]
        if layer and (setting not in NAMED or layer not in known):
            what = f"{setting!r} is not of a layer" if layer in known else (
                f"there is no layer {layer!r}, layers are {', '.join(known)}")  # fmt: skip
            raise UserError(f"vary: {name}: {what}")
        others = [n for n in values if n.partition(".")[0] == setting]
        if not layer and setting in NAMED and others and setting in plan.by_layer:
            values |= {n: (wanted, values[n][1]) for n in others}
        else:
            values[name] = wanted, values.get(name, ((), _numbers(wanted)))[1]
    for name in plan.fix:
        values = {n: v for n, v in values.items() if n.partition(".")[0] != name}
    parameters = tuple(
        Parameter(name, kept, ordered)
        for name, (kept, ordered) in values.items()
        if len(kept) > 1 or name in given
    )
    space = Space(parameters, {**settings.flat(), **plan.fix})
    _check(space, settings, int(stimulus.lengths.max()))
    return space


def _numbers(values: tuple[Any, ...]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _check(space: Space, settings: Settings, steps: int) -> None:
    """UserError, all in one, for values that can't be."""
    wrong = []
    for p in space.parameters:
        if len(set(map(repr, p.values))) < len(p.values):
            wrong.append(f"vary: {p.name}: a value is there twice")
        for value in p.values:
            if p.setting in APART:
                most = steps if p.setting == "steps" else 1024
                whole = isinstance(value, int) and not isinstance(value, bool)
                if value is not None and not (whole and 1 <= value <= most):
                    wrong.append(f"vary: {p.name} must be in 1..{most}, not {value!r}")
                continue
            try:
                settings.with_values(space.settings({p.name: value}), f"vary: {p.name}")
            except UserError as error:
                wrong.append(str(error))
    if wrong:
        raise UserError("; ".join(dict.fromkeys(wrong)))
