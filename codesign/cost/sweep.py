"""Many designs at once: a quick mapper by formulas, and the cost model on arrays.

`Base.of` reads one real mapping of a model (a core of each kind). `sweep` moves it: to other lanes,
weight bits, shares of kept synapses, numbers of cores, ... for arrays of such points, with
the same features and coefficients as `codesign.cost.resources`. At the base's own settings a point
is that design exactly; elsewhere rows are counted as if synapses were spread evenly over a
projection, and the cores of the event-driven populations as if they were all alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.cost.design import Design, Group
from codesign.cost.features import bits_for
from codesign.cost.model import Model, default_model
from mapping.hardware import UPDATE_CYCLES
from mapping.mapped import Mapped

__all__ = ["INDEX", "POINT", "Base", "sweep"]

Numbers = dict[str, Any]
#: How rows are encoded, as a number of a point.
INDEX = ("auto", "none", "word", "lane")
#: What a point may say; nan (or no such array) keeps the base's. cores: all of the design; kept:
#: share of the base's synapses; index: place in INDEX; lanes, update_lanes (0: the mapper's rule),
#: weight_bits, membrane_bits: of event-driven cores; fifo: of all; stream_lanes, log2_length;
#: state_lanes, state_bits.
POINT = ("cores", "lanes", "update_lanes", "weight_bits", "membrane_bits", "kept", "index",
         "fifo",
         "stream_lanes", "log2_length", "state_lanes", "state_bits")  # fmt: skip


#: Points at a time: their arrays stay in a processor's cache.
CHUNK = 4096


@dataclass(frozen=True, kw_only=True)
class Link:
    """A projection into an event-driven population: sources that have synapses, their events per
    step, the population's place and size, and how many synapses there are."""

    sources: int
    events: float
    target: int
    size: int
    synapses: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Base:
    """A mapped model: its design, its event-driven populations' sizes and projections.

    `interval`: ticks between steps. `outputs`, `config_bits`, `value_bits`: of its flits.
    """

    design: Design
    sizes: tuple[int, ...]
    links: tuple[Link, ...]
    outputs: int
    interval: int
    lanes: float
    index: int
    flit: Mapping[str, float]

    @classmethod
    def of(cls, mapped: Mapped, activity: Mapping[str, Any] | None = None) -> Base:
        """`activity` as in `map_program`: events per step of inputs and populations.

        ValueError for unknown names, and if event-driven populations have more than one core.
        """
        design = Design.of(mapped.mesh, mapped.host)
        event = [g for g in design.groups if g.engine == "event"]
        if len(event) > 1 or (event and event[0].count > 1):
            raise ValueError("the base of a sweep must have one core of event-driven neurons")
        program = mapped.program
        names = [p.name for p in program.populations if p.dendrites is None]
        rates = {name: float(np.mean(value)) for name, value in (activity or {}).items()}
        for name in rates:
            if name not in [p.name for p in program.inputs] + [p.name for p in program.populations]:
                raise ValueError(f"activity of {name}: there is no such input or population")
        links = []
        for p in program.projections:
            if p.target in names:
                rows = int((np.diff(p.indptr) > 0).sum())
                links.append(
                    Link(
                        sources=rows, events=rows * rates.get(p.source, 1.0),
                        target=names.index(p.target), size=program.population(p.target).size,
                        synapses=len(p.indices),
                    )
                )  # fmt: skip
        indices = [c.index for c in mapped.mesh.cores if c is not None and c.dendrites is None]
        flit = mapped.mesh.flit
        return cls(
            design=design,
            sizes=tuple(program.population(name).size for name in names),
            links=tuple(links),
            outputs=program.output_size,
            interval=mapped.schedule.interval,
            lanes=event[0].numbers["lanes"] if event else 1.0,
            index=INDEX.index(indices[0]) if indices else 0,
            flit={"value_bits": float(flit.value_bits), "levels": float(mapped.mesh.levels)},
        )


def _ceil(a: Any, b: Any) -> Any:
    return np.ceil(np.asarray(a, dtype=float) / b)


def _most(groups: Any, density: Any, lanes: Any) -> Any:
    """Mean of the largest of `lanes` binomial numbers (`groups`, `density`), roughly."""
    mean = groups * density
    spread = np.sqrt(2 * np.log(np.maximum(lanes, 1.0)) * mean * (1 - density))
    least = 1 - (1 - density) ** (groups * lanes)
    return np.clip(mean + spread, least, groups)


def _rows(base: Base, lanes: Any, cores: Any, kept: Any, index: int) -> tuple[Any, Any, Any]:
    """(words, axons, cycles of a step's events) of a core, were it encoded so."""
    total = float(sum(base.sizes))
    words, axons, cycles = 0.0, 0.0, 0.0
    for link in base.links:
        share = np.clip(cores * link.size / total, 1.0, cores)  # cores that it is spread over
        density = np.clip(kept * link.synapses / (link.sources * link.size), 0.0, 1.0)
        groups = _ceil(link.size / share, lanes)
        if INDEX[index] == "word":
            depth = groups * (1 - (1 - density) ** np.minimum(lanes, link.size))
        elif INDEX[index] == "lane":
            depth = _most(groups, density, lanes)
        else:
            depth = groups
        reached = share * (1 - (1 - density) ** (link.size / share))
        words = words + link.sources * depth * share / cores
        axons = axons + link.sources * reached / cores
        cycles = cycles + link.events * depth * share / cores
    return words, axons, cycles


def _slots(base: Base, lanes: Any, cores: Any) -> tuple[Any, Any]:
    """(slots, populations) of a core."""
    whole = sum(_ceil(size, lanes) * lanes for size in base.sizes)
    shares = np.clip((len(base.sizes) + cores - 1) / cores, 1.0, len(base.sizes))
    spread = _ceil(sum(base.sizes) / cores + (shares - 1) * lanes / 2, lanes) * lanes
    return np.where(cores <= 1, whole, spread), np.round(shares)


def _update_lanes(lanes: Any, slots: Any) -> Any:
    """The mapper's rule: the fewest that update all slots in UPDATE_CYCLES."""
    need = 2.0 ** bits_for(_ceil(np.floor(slots) + 1, UPDATE_CYCLES + 1))
    return np.minimum(lanes, np.maximum(need, 1.0))


def _event(base: Base, own: Numbers, point: Mapping[str, Any], cores: Any) -> tuple[Numbers, Any]:
    """Numbers of an event-driven core of each point, and cycles of a step."""
    n = dict(own)
    lanes, kept = point.get("lanes", base.lanes), point.get("kept", 1.0)
    slots, ranges = _slots(base, lanes, cores)
    given = point.get("update_lanes", np.nan)
    automatic = _update_lanes(lanes, slots)
    if "update_lanes" not in point:
        automatic = np.where((lanes == own["lanes"]) & (cores <= 1), own["update_lanes"], automatic)
    update = np.where(np.isnan(given) | (given == 0), automatic, np.minimum(given, lanes))
    groups = slots / lanes
    weights = point.get("weight_bits", own["weight_bits"])
    wider = weights - own["weight_bits"]

    here = _rows(base, base.lanes, 1.0, 1.0, base.index)
    options = [_rows(base, lanes, cores, kept, k) for k in (1, 2, 3)]
    axons = options[0][1] * own["axons"] / here[1]
    table = []
    for k, (words, _, cycles) in zip((1, 2, 3), options, strict=True):
        fit = own["synapse_words"] / here[0] if k == base.index else 1.0
        words = axons * groups if k == 1 else np.minimum(words * fit, axons * groups)
        words = np.maximum(np.ceil(words - 1e-9), 1.0)
        header = own["exponent_bits"] + (k == 2) * bits_for(groups)
        entry = weights + (k == 3) * bits_for(groups)
        pointer = 0.0 if k == 1 else bits_for(words) + bits_for(groups + 1)
        bits = words * (lanes * entry + header) + axons * pointer
        table.append((bits * words / axons, words, cycles))
    wanted = np.asarray(point.get("index", base.index))
    best = np.argmin(np.stack(np.broadcast_arrays(*(row[0] for row in table))), axis=0) + 1
    index = np.where(wanted == 0, best, wanted)
    words = np.select([index == 1, index == 2], [table[0][1], table[1][1]], table[2][1])
    cycles = np.select([index == 1, index == 2], [table[0][2], table[1][2]], table[2][2])

    longest = own["synapse_words"] / own["axons"]
    row = np.where(index == 1, groups, np.minimum(np.ceil(
        2.0 ** own["count_bits"] / 2 * (words / axons) / longest), groups))  # fmt: skip
    same = (cores <= 1) & (words == own["synapse_words"])
    acc = own["acc_bits"] + wider + np.ceil(np.log2(np.maximum(kept, 1e-3)))
    n |= {
        "slots": slots, "lanes": lanes, "update_lanes": update, "axons": np.ceil(axons - 1e-9),
        "synapse_words": words, "weight_bits": weights, "groups": groups,
        "acc_bits": np.clip(acc, 2.0, 40.0),
        "membrane_bits": point.get("membrane_bits", own["membrane_bits"]),
        "by_lane": 1.0 * (index == 3), "by_word": 1.0 * (index == 2), "dense": 1.0 * (index == 1),
        "start_bits": np.maximum(bits_for(words), 1.0),
        "count_bits": np.where(same, own["count_bits"], bits_for(row + 1)),
        "index_bits": bits_for(groups), "state_words": slots / update,
        "ranges": np.where(cores <= 1, own["ranges"], ranges),
        "group_digits": _digits(groups),
    }  # fmt: skip
    one = np.asarray(n["ranges"]) <= 1
    for name in ("membrane", "current"):
        known = np.where(one, own[f"{name}_own"], own[f"{name}_multiplied"])
        n[f"{name}_multiplied"] = known
    for name in ("bias", "threshold", "reset_value", "shift", "value_shift"):
        n[f"{name}_ranged"] = np.where(one, 0.0, own[f"{name}_ranged"])
    n["shifted"] = np.maximum(own["shift_own"], n["shift_ranged"])
    n["shift_most"] = own["shift_most"] * n["shifted"]
    n |= {
        "entry_bits": weights + n["by_lane"] * n["index_bits"],
        "header_bits": own["exponent_bits"] + n["by_word"] * n["index_bits"],
        "pointer_bits": (1 - n["dense"]) * (n["start_bits"] + n["count_bits"]),
        "state_bits": n["membrane_bits"] + own["current_bits"],
        "state_items": slots,
        "record_bits": own["record_bits"]
        + (n["membrane_bits"] - own["membrane_bits"])
        * (own["bias_own"] + own["threshold_own"] + own["reset_value_own"]),
    }  # fmt: skip
    n["probe_bits"] = n["state_bits"] + own["sent_bits"]
    return n, cycles + 2 * n["state_words"] + 32


def _digits(number: Any) -> Any:
    """Canonical signed digits of whole numbers."""
    whole = np.asarray(number, dtype=np.int64)
    return np.bitwise_count(3 * whole ^ whole).astype(float)


def _streams(own: Numbers, point: Mapping[str, Any]) -> tuple[Numbers, Any]:
    lanes = np.maximum(point.get("stream_lanes", own["streams"]), own["generators"])
    tiles = _ceil(own["columns"], lanes)
    n = own | {"streams": lanes, "tiles": tiles, "columns": tiles * lanes,
               "bank_lanes": lanes / own["generators"]}  # fmt: skip
    length = 2.0 ** np.minimum(point.get("log2_length", own["source_bits"]), own["source_bits"])
    return n, own["slots"] * tiles * (length + 1) + 40


def _states(own: Numbers, point: Mapping[str, Any]) -> tuple[Numbers, Any]:
    order = own["order_words"] * own["state_lanes"]
    most = np.where(own["mixed"] > 0, 2.0 ** bits_for(order), 1.0)
    lanes = np.minimum(point.get("state_lanes", own["state_lanes"]), most)
    words = _ceil(order, lanes)
    each, bits = own["dendrite_words"] / own["order_words"], own["part_bits"]
    wider = point.get("state_bits", bits) - bits
    n = own | {
        "state_lanes": lanes, "order_words": words, "dendrite_words": each * words,
        "multipliers": own["multipliers"] / own["state_lanes"] * lanes,
        "part_bits": bits + wider, "dendrite_bits": own["dendrite_bits"] + wider * own["parts"],
    }  # fmt: skip
    n["item_bits"] = np.maximum(n["dendrite_bits"], own["held"] * own["input_bits"])
    n["probe_bits"] = np.maximum(own["state_bits"] + own["sent_bits"], n["item_bits"])
    n["state_items"] = own["state_items"] + (each * words * lanes - own["dendrite_words"]
                                             * own["state_lanes"])  # fmt: skip
    return n, own["slots"] * words + 24 + 2 * own["state_words"]


def sweep(
    base: Base, points: Mapping[str, Any], model: Model | None = None
) -> dict[str, np.ndarray]:
    """lut, ff, bram, dsp, fmax_mhz and cycles (of a step, roughly) of all points.

    points : arrays [points] or numbers, named as in POINT. ValueError for other names.
    """
    if wrong := set(points) - set(POINT):
        raise ValueError(f"points name {sorted(wrong)}; known: {', '.join(POINT)}")
    values = [np.asarray(value, dtype=float) for value in points.values()]
    shape = np.broadcast_shapes(*(value.shape for value in values))
    flat = [np.broadcast_to(value, shape).reshape(-1) for value in values]
    parts = []
    for first in range(0, max(int(np.prod(shape)), 1), CHUNK):
        some = {k: v[first : first + CHUNK] for k, v in zip(points, flat, strict=True)}
        parts.append(_sweep(base, some, model or default_model()))
    return {name: np.concatenate([p[name] for p in parts]).reshape(shape) for name in parts[0]}


def _sweep(base: Base, point: Mapping[str, Any], model: Model) -> dict[str, np.ndarray]:
    """`sweep` of arrays [points] that fit a processor's cache."""
    count = next((len(value) for value in point.values()), 1)
    fixed = sum(g.count for g in base.design.groups if g.engine != "event")
    event = any(g.engine == "event" for g in base.design.groups)
    cores = np.maximum(point.get("cores", np.asarray(fixed + event)), fixed + event)
    made: list[tuple[str, Numbers, Any]] = []
    cycles: Any = 0.0
    for group in base.design.groups:
        own = dict(group.numbers)
        if group.engine == "event":
            n, work = _event(base, own, point, cores - fixed)
            made.append((group.engine, n, cores - fixed))
        elif group.engine in ("stochastic", "ssm"):
            n, work = (_streams if group.engine == "stochastic" else _states)(own, point)
            made.append((group.engine, n, group.count))
        else:
            n, work = own, 4 * own["slots"] + 32
            made.append((group.engine, n, group.count))
        cycles = np.maximum(cycles, work)
    fabric = _flit(base, made, cores)
    same = {name: fabric[name] for name in ("flit_bits", "chunk_bits", "route_bits", "tag_bits")}
    if "fifo" in point:
        same["fifo"] = point["fifo"]
    groups = tuple(Group(engine, n | same, count) for engine, n, count in made)
    found = model.figures(Design(groups, fabric)) | {"cycles": base.interval * cycles}
    return {name: np.broadcast_to(value, count) for name, value in found.items()}


def _flit(base: Base, made: list[tuple[str, Numbers, Any]], cores: Any) -> Numbers:
    """The mesh of `cores` and its flits (mapping/place.py: mesh_size; mapping/hardware.py)."""
    own = base.design.fabric
    width = np.where(cores == own["width"] * own["height"], own["width"], np.ceil(np.sqrt(cores)))
    height = _ceil(cores, width)
    tags: Any = max(base.outputs, 2)
    deepest: Any = 1.0
    for _, n, _ in made:
        tags = np.maximum(tags, n["axons"])
        deepest = np.maximum(deepest, np.maximum(n["slots"] * n["entries"], n["axons"]))
        deepest = np.maximum(deepest, n["synapse_words"] * n["lanes"])
        deepest = np.maximum(deepest, n["state_items"])
        if "planes" in n:
            deepest = np.maximum(deepest, n["slots"] * n["tiles"] * n["planes"] * n["generators"])
    tag_bits = bits_for(tags)
    config = np.maximum(18.0, 3 + bits_for(deepest))
    body = np.maximum(tag_bits + base.flit["value_bits"], 2 + config)
    rows = height + 1
    flit = body + 1 + rows + width
    return {
        "width": width, "height": height, "flit_bits": flit, "chunk_bits": body - 2,
        "tag_bits": tag_bits, "route_bits": tag_bits + rows + width + 2,
        "levels": own["levels"], "word_bits": np.maximum(flit, base.flit["levels"] + 1) + 1,
    }  # fmt: skip
