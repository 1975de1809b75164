"""What of a fabric's structure costs logic: counts of bits, from parameters alone.

`core_numbers` reads one core's parameters into plain numbers; `core_features` turns such numbers
(or numpy arrays of them: many cores, many designs at once) into features. A feature counts bits of
one part of the RTL: the adders of the accumulators, the registers of the update, ... A cost is a
sum of features times coefficients that are fitted to real runs (codesign/cost/fit.py), the sum over
all cores, routers and what stands there once. Block RAMs and multipliers are counted, not fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from codesign.cost.memories import Memories
from hdl.params.crossbar.core import CrossbarParams
from hdl.params.crossbar.dendrites import FACTOR_BITS
from hdl.params.crossbar.device import SIGMA_BITS
from hdl.params.host import HostParams
from hdl.params.neuron import CoreParams, Emit, Reset, sends_value
from hdl.params.noc import FlitParams, MeshParams
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.params.ssm.gate import GateParams

__all__ = [
    "ENGINES",
    "bits_for",
    "core_features",
    "core_numbers",
    "fabric_features",
    "mesh_numbers",
]

Numbers = Mapping[str, Any]
Features = dict[str, Any]
SHALLOW = 32  #: as in hdl/memory.py: deeper accumulators are block memory
ENGINES = {
    type(None): "event", DenseParams: "stochastic", DiagonalParams: "ssm", GateParams: "gate",
    AttentionParams: "attention", CrossbarParams: "crossbar",
}  # fmt: skip


def bits_for(count: Any) -> Any:
    """Bits of an index into `count` things, of numbers or arrays."""
    return np.frexp(np.maximum(np.asarray(count, dtype=float) - 1, 0))[1]


def _digits(number: int) -> int:
    """Canonical signed digits of a constant: what multiplies by it adds so many terms, less one."""
    return (3 * number ^ number).bit_count()


def _ceil(a: Any, b: Any) -> Any:
    return np.ceil(a / b)


def core_numbers(p: CoreParams, flit: FlitParams, entries: int, fifo: int = 0) -> dict[str, float]:
    """One core in plain numbers, its route entries and queue counted; flags are 0 or 1."""
    found: dict[str, float] = {
        name: getattr(p, name)
        for name in (
            "slots", "lanes", "update_lanes", "levels", "axons", "synapse_words", "weight_bits",
            "exponent_bits", "payload_bits", "emission_bits", "value_bits", "membrane_bits",
            "current_bits", "decay_bits", "acc_bits", "changes", "table_bits", "entry_bits",
            "header_bits", "start_bits", "count_bits", "pointer_bits", "groups", "state_words",
            "state_bits", "sent_bits", "record_bits", "index_bits", "probe_bits", "state_items",
        )
    }  # fmt: skip
    found |= {
        "ranges": len(p.ranges),
        "tables": max(p.tables, default=-1) + 1,
        "by_lane": p.index == "lane",
        "by_word": p.index == "word",
        "dense": p.index == "none",
        "entries": entries,
        "fifo": fifo,
        "winners": p.winners.count if p.winners and not p.winners.all else 0,
        "contest": p.winners.group if p.winners and not p.winners.all else 0,
        "group_digits": _digits(p.groups),
        "flit_bits": flit.flit_bits,
        "chunk_bits": flit.chunk_bits,
        "route_bits": flit.route_bits,
        "tag_bits": flit.tag_bits,
    }
    for name in ("membrane_decay", "current_decay"):
        short, value = name.split("_")[0], p.shared.get(name)
        distinct = set(value) if isinstance(value, tuple) else {value}
        known = len(distinct) == 1 and None not in distinct
        found[f"{short}_multiplied"] = not known
        found[f"{short}_own"] = value is None
        # Where ranges differ, the mean of theirs: what a core with fewer ranges has.
        terms = [_digits(v) for v in distinct if v is not None]
        found[f"{short}_terms"] = sum(terms) / max(len(terms), 1)
    for name in ("bias", "threshold", "reset_value", "shift", "value_shift"):
        value = p.shared.get(name)
        distinct = set(value) if isinstance(value, tuple) else {value}
        found[f"{name}_own"] = value is None
        found[f"{name}_ranged"] = value is not None and len(distinct) > 1
        found[f"{name}_some"] = distinct != {0}
    found["shifted"] = found["shift_own"] or found["shift_ranged"]
    shift = p.shared.get("shift", (15,))
    most = max(shift) if isinstance(shift, tuple) else 0
    found["shift_most"] = (1 << most.bit_length()) - 1 if found["shifted"] else 0
    for name, of in (("reset", Reset), ("emit", Emit)):
        value = p.shared.get(name)
        if value is None:
            kinds = set(of)
        else:
            kinds = {of(v) for v in (value if isinstance(value, tuple) else (value,))}
        found[f"{name}_own"] = value is None
        found[f"{name}_kinds"] = len(kinds)
        if name == "reset":
            found |= {f"resets_{k.name.lower()}": k in kinds for k in Reset}
        else:
            found["values"] = bool(p.emission_bits and any(sends_value(k) for k in kinds))
            found["membranes"] = bool(p.value_bits and Emit.STATE in kinds)
    return {name: float(value) for name, value in found.items()} | _of_dendrites(p)


def _of_dendrites(p: CoreParams) -> dict[str, float]:
    """The numbers of dendrites that are not event-driven."""
    d = p.dendrites
    found: dict[str, Any] = {}
    if isinstance(d, DenseParams):
        s = d.streams
        found = {
            "streams": d.lanes, "tiles": d.tiles, "planes": d.planes, "columns": d.columns,
            "value_planes": d.value_planes, "bank_lanes": d.bank_lanes,
            "generators": s.generators, "source_bits": s.source_bits, "stops": s.tolerance >= 0,
            "decides": d.decides, "lfsr": s.generator == "lfsr", "product_bits": s.weight_bits
            + s.value_bits, "stoppable": s.first < s.source_bits,
        }  # fmt: skip
    elif isinstance(d, DiagonalParams):
        q = d.diagonal
        found = {
            "state_lanes": d.lanes, "parts": q.parts, "order_words": d.words, "mixed": q.mixed,
            "held": q.held, "part_bits": q.state_bits, "pole_bits": q.pole_bits,
            "mix_bits": q.mix_bits, "input_bits": q.value_bits, "drawn": q.stochastic,
            "multipliers": d.multipliers, "drive_bits": q.drive_shift, "real": q.real,
            "dendrite_words": d.state_words(p.slots), "mix_shift": q.mix_shift,
            "dendrite_bits": d.state_bits, "item_bits": d.item_bits,
            "coefficient_bits": d.coefficient_bits, "serial": q.neurons == 2,
        }  # fmt: skip
    elif isinstance(d, GateParams):
        left, right = d.gate.sources(p.slots)
        found = {"held": d.gate.held, "input_bits": d.gate.value_bits, "spread": d.gate.spread,
                 "item_bits": d.item_bits, "lefts": left, "rights": right}  # fmt: skip
    elif isinstance(d, AttentionParams):
        found = {"tokens": d.tokens, "dim": d.dim, "causal": d.causal, "item_bits": d.item_bits}
    elif isinstance(d, CrossbarParams):
        a, c = d.array, d.crossbar
        difference = c.devices * ((1 << c.adc_bits) - 1)
        if c.sampling != "none":
            difference = c.train * c.rows
        signs, serial = 2 if c.value_bits else 1, c.input == "serial"
        places = max((1 << c.value_bits) - 1, 1) if serial else 1
        most = a.tiles * signs * places * ((1 << FACTOR_BITS) - 1) * difference
        found = {
            "neurons": c.neurons, "logical": c.neurons * c.width, "cell_bits": a.cell_bits,
            "cell_value_bits": a.value_bits, "tiles": a.tiles, "input_planes": c.value_bits + 1
            if c.value_bits else 1, "sum_bits": (most + (1 << c.fraction - 1)).bit_length() + 1,
            "rows": a.rows, "columns": a.columns, "banks": a.banks, "cells": a.cells,
            "cell_item_bits": a.item_bits, "senses": a.senses, "code_bits": a.code_bits,
            "charge_bits": a.charge_bits, "converters": a.converters, "adc_bits": a.adc_bits,
            "widths": d.crossbar.input == "width", "input_bits": d.crossbar.value_bits,
            "dendrite_pointer": d.pointer_bits, "region_bits": d.region_bits, "blocks": a.blocks,
        }  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def _fetch(n: Numbers, m: Memories) -> Features:
    """Rows of synapse words, and their accumulators: features, memories."""
    lanes, acc, index = n["lanes"], n["acc_bits"], n["index_bits"]
    m.sync("synapses", n["synapse_words"], n["entry_bits"], lanes)
    m.sync("headers", n["synapse_words"], n["header_bits"])
    m.sync("pointers", n["axons"], n["pointer_bits"])
    deep = 1.0 * (n["groups"] > SHALLOW)
    m.distributed("banks", n["groups"], acc, lanes, deep)
    addresses = np.where(n["by_lane"] > 0, lanes, np.minimum(lanes, 4))
    amount = np.minimum(n["weight_bits"] + 2 ** n["exponent_bits"] - 1 + n["payload_bits"], acc) + (
        n["weight_bits"] == 1
    )
    parts = lanes / n["update_lanes"]
    multiplied = n["payload_bits"] > 0
    m.multiply(
        lanes * multiplied, n["weight_bits"] + 2 ** n["exponent_bits"] - 1, n["payload_bits"]
    )
    return {
        "fetch.lut": n["start_bits"] + n["count_bits"] + index
        + n["dense"] * (n["group_digits"] - 1) * n["start_bits"],
        "fetch.ff": n["start_bits"] + n["count_bits"] + 2 * index + n["payload_bits"]
        * (3 - n["dense"]),
        "lanes": lanes,
        "acc.add": lanes * acc,
        "acc.forward": lanes * acc * (1 - deep),
        "acc.deep": lanes * acc * deep,
        "acc.select": (parts > 1) * (parts - 1) * n["update_lanes"] * acc,
        "acc.shift": lanes * n["exponent_bits"] * n["weight_bits"],
        "acc.index": addresses * index,
        "acc.amount": lanes * amount * np.where(multiplied, 0, 1),
        "acc.word": lanes * n["weight_bits"],
    }  # fmt: skip


def _update(n: Numbers, m: Memories) -> Features:
    """The neurons' dynamics."""
    u, bits, current = n["update_lanes"], n["membrane_bits"], n["current_bits"]
    acc, cuba = n["acc_bits"], n["current_bits"] > 0
    decay = n["decay_bits"]
    m.multiply(u * n["membrane_multiplied"], bits, decay + 2)
    m.multiply(u * n["current_multiplied"] * cuba, current, decay + 2)
    own = (n["bias_own"] + (2.0 + cuba) * (n["threshold_own"] + n["reset_value_own"])) * bits + (
        2.0 + cuba
    ) * (2 * n["reset_own"] + 2 * n["emit_own"])
    ranged = n["bias_ranged"] + n["threshold_ranged"] + n["reset_value_ranged"]
    terms = (1 - n["membrane_multiplied"]) * np.maximum(n["membrane_terms"] - 1, 0) * bits
    terms = terms + (1 - n["current_multiplied"]) * np.maximum(n["current_terms"] - 1, 0) * current
    product = (1 - n["membrane_multiplied"]) * (n["membrane_terms"] > 0) * (bits + decay)
    product = product + (1 - n["current_multiplied"]) * cuba * (current + decay)
    return {
        "update.bits": u * bits,
        "update.current": u * current,
        "update.terms": u * terms,
        "update.acc": u * acc,
        "update.shift": u * (acc + n["shift_most"]) * bits_for(n["shift_most"] + 1),
        "update.drive": u * n["shift_most"],
        "update.rest": u * bits * cuba,
        "update.product": u * product,
        "update.late": u * n["resets_delayed"] * bits,
        "update.less": u * n["resets_subtract"] * bits,
        "update.set": u * n["resets_set"] * bits * (n["reset_value_some"]),
        "update.bias": u * n["bias_some"] * bits,
        "update.own": u * own,
        "update.ranged": u * ranged * bits * bits_for(n["ranges"]),
        "update.lanes": u,
    }  # fmt: skip


def _core(n: Numbers, m: Memories) -> Features:
    """The walk over the words, states and records, sending, configuration."""
    u, word = n["update_lanes"], bits_for(n["state_words"])
    bits = n["membrane_bits"]
    slot = bits_for(n["slots"])
    state = m.registered("state", n["state_words"], n["state_bits"], u)
    record = m.registered("parameters", n["state_words"], n["record_bits"], u)
    # Decays that are multiplied by may stand in the multiplier's own registers.
    decays = np.minimum(u * (n["membrane_own"] + n["current_own"]) * (n["decay_bits"] + 1), record)
    m.sync("fired", n["state_words"], u)
    sent = m.registered("sent", n["state_words"], n["sent_bits"], u)
    m.registered("table", n["tables"] * 2.0 ** n["table_bits"], n["emission_bits"])
    m.sync("routes", n["slots"] * n["entries"], n["route_bits"])
    event = (bits_for(n["axons"]) + n["value_bits"]) * (n["fifo"] > 0)
    m.distributed("fifo", n["fifo"], event, 1, n["fifo"] > SHALLOW)
    wins = n["winners"]
    m.sync("masks", (wins > 0) * n["slots"] / np.maximum(n["contest"], 1), n["contest"])
    depth = 5.0 + (n["current_bits"] > 0)
    says = np.maximum(n["values"], n["membranes"])
    value = np.maximum(n["emission_bits"] * n["values"], bits * n["membranes"])
    chunks = _ceil(n["probe_bits"], n["chunk_bits"])
    return {
        "core.word": word,
        "core.pipe": word * (depth + 2) + depth,
        "core.ranges": n["ranges"] * word,
        "core.slot": slot,
        "core.read": state + record - decays + sent,
        "core.decays": decays,
        "core.state": u * n["state_bits"],
        "emit.lanes": u,
        "emit.pick": says * (u - 1) * bits,
        "emit.record": (u - 1) * n["record_bits"],
        "emit.bits": says * bits,
        "emit.value": value,
        "emit.clip": n["values"] * bits,
        "emit.shift": n["values"] * (n["value_shift_own"] + n["value_shift_ranged"]) * bits,
        "emit.changes": n["changes"] * n["emission_bits"],
        "emit.tables": (n["tables"] > 0) * n["emission_bits"],
        "ni.flit": n["flit_bits"],
        "ni.chunk": n["chunk_bits"],
        "ni.probe": (u - 1) * n["probe_bits"],
        "ni.items": n["probe_bits"],
        "ni.entries": (n["entries"] > 1) * (slot + bits_for(n["entries"])),
        "ni.stage": chunks * n["chunk_bits"],
        "ni.value": n["value_bits"],
        "fifo.bits": event,
        "fifo.places": (n["fifo"] > 0) * (bits_for(n["fifo"]) + 2),
        "win.scores": wins * (bits + bits_for(n["contest"])),
        "win.group": n["contest"] * (1 + wins),
        "core.one": np.ones_like(u),
    }  # fmt: skip


def _held_inputs(n: Numbers, m: Memories, operands: float, spread: Any = 0.0) -> Features:
    slot, bits = bits_for(n["slots"]), n["input_bits"]
    looked = m.registered("input pointers", n["axons"], slot + operands)
    values = m.registered("input values", n["slots"], bits, operands, count=1 - spread)
    return {
        "held.slot": slot,
        "held.bits": operands * bits,
        "held.read": looked + values,
        "held.add": operands * bits * n["held"],
        "held.probe": n["held"] * n["item_bits"],
    }


def _states(n: Numbers, m: Memories) -> Features:
    """Linear recurrences."""
    lanes, words, bits, parts = n["state_lanes"], n["dendrite_words"], n["part_bits"], n["parts"]
    found = _held_inputs(n, m, 1.0)
    state = m.registered("states", words, n["dendrite_bits"], lanes)
    mix = parts * n["mix_bits"] * n["mixed"]
    pole = m.registered("poles", words, n["coefficient_bits"] - mix, lanes)
    mixes = m.registered("mixes", words, mix, lanes)
    draws = m.registered("draws", words, 32 * n["drawn"], lanes)
    m.registered("queue", 16.0 + 0 * lanes, np.maximum(n["acc_bits"], 1))
    m.dsp = m.dsp + n["multipliers"]
    computed = np.where(n["serial"] > 0, 1.0, parts)
    product = bits + n["pole_bits"] + 1
    return found | {
        "ssm.one": np.ones_like(lanes),
        "ssm.word": bits_for(words),
        "ssm.lanes": lanes,
        "ssm.state": lanes * computed * bits,
        "ssm.product": lanes * computed * product,
        "ssm.complex": lanes * (1 - n["real"]) * product,
        "ssm.drive": lanes * (n["input_bits"] + 7),
        "ssm.drawn": lanes * n["drawn"] * (32 + n["pole_bits"] * computed),
        "ssm.mix": n["mixed"] * (lanes * parts - 1) * (bits + n["mix_bits"]),
        "ssm.sum": n["mixed"] * (n["acc_bits"] + n["mix_shift"]),
        "ssm.acc": n["acc_bits"],
        "ssm.read": state + pole + mixes + draws,
        "ssm.probe": lanes * n["dendrite_bits"],
    }


def _gate(n: Numbers, m: Memories) -> Features:
    found = _held_inputs(n, m, 2.0, n["spread"])
    for side in ("lefts", "rights"):
        m.registered(side, n[side], n["input_bits"], 1, count=n["spread"])
    m.registered("queue", 16.0 + 0 * n["slots"], np.maximum(n["acc_bits"], 1))
    m.dsp = m.dsp + 1
    return found | {"gate.one": np.ones_like(n["slots"]), "gate.acc": n["acc_bits"],
                    "gate.product": 2 * n["input_bits"], "gate.spread": n["spread"]
                    * bits_for(n["slots"])}  # fmt: skip


def _streams(n: Numbers, m: Memories) -> Features:
    """Bit-streams."""
    lanes, banks, source = n["streams"], n["generators"], n["source_bits"]
    depth = n["slots"] * n["tiles"] * n["planes"]
    deepest = 2048.0
    whole, rest = depth // deepest, depth % deepest
    m.registered("weights", deepest * (whole > 0), n["bank_lanes"], 1, count=banks * whole)
    weights = m.registered("weights", rest, n["bank_lanes"], 1, count=banks)
    planes = m.registered("value planes", n["tiles"] * n["value_planes"], n["bank_lanes"], 1,
                          count=banks)  # fmt: skip
    pointer = m.registered("input pointers", n["axons"], bits_for(n["columns"]) + 1)
    m.distributed("list", n["tiles"], np.maximum(bits_for(n["tiles"]), 1))
    width = bits_for(n["columns"] + 1) + source + 1
    scale = n["acc_bits"]
    return {
        "sc.one": np.ones_like(lanes),
        "sc.lanes": lanes,
        "sc.banks": banks,
        "sc.values": lanes * (n["value_planes"] > 1),
        "sc.address": banks * bits_for(depth),
        "sc.depth": bits_for(depth),
        "sc.tiles": n["tiles"],
        "sc.select": lanes * whole,
        "sc.numbers": banks * source,
        "sc.lfsr": banks * source * n["lfsr"],
        "sc.count": width,
        "sc.scale": scale,
        "sc.scaled": scale * bits_for(n["product_bits"] + 1),
        "sc.stop": n["stoppable"] * (width + source),
        "sc.decide": n["decides"] * (width + n["membrane_bits"]),
        "sc.read": weights + planes + pointer,
    }


def _attention(n: Numbers, m: Memories) -> Features:
    tokens, dim = n["tokens"], n["dim"]
    for name in ("query", "key"):
        m.distributed(name, tokens, 4 * _ceil(dim, 4))
    m.distributed("value", dim, 4 * _ceil(tokens, 4))
    pointer = m.registered("input pointers", n["axons"], n["item_bits"])
    return {
        "head.one": np.ones_like(tokens),
        "head.tokens": tokens,
        "head.dim": dim,
        "head.size": tokens * dim,
        "head.causal": n["causal"] * tokens,
        "head.read": pointer,
    }


def _crossbar(n: Numbers, m: Memories) -> Features:
    rows, columns, banks, blocks = n["rows"], n["columns"], n["banks"], n["blocks"]
    half = 2.0 * 2.0 ** bits_for(blocks)
    m.registered("cells", n["cells"], n["cell_item_bits"])
    m.registered("hot", banks * 2.0 ** bits_for(rows), n["cell_bits"] + SIGMA_BITS, columns)
    m.registered("reference", banks * n["senses"], n["cell_value_bits"], columns)
    m.registered("states", half + 2 * blocks, 64.0)
    m.sync("fade", 256.0, 13.0)
    m.registered("columns", blocks * n["logical"], np.maximum(bits_for(columns), 1))
    m.registered("factors", banks * n["neurons"], float(FACTOR_BITS))
    m.registered("sums", n["neurons"], n["sum_bits"])
    m.registered("planes", n["tiles"] * n["input_planes"], rows)
    pointer = m.registered("input pointers", n["axons"], n["dendrite_pointer"])
    m.dsp = m.dsp + columns + 9
    return {
        "xbar.one": np.ones_like(n["rows"]),
        "xbar.columns": n["columns"] * n["charge_bits"],
        "xbar.rows": rows,
        "xbar.draws": columns * 32,
        "xbar.senses": n["senses"] * n["code_bits"] * n["columns"],
        "xbar.converters": n["converters"] * n["adc_bits"],
        "xbar.width": n["widths"] * n["input_bits"],
        "xbar.read": pointer,
    }


_DENDRITES = {
    "event": _fetch, "stochastic": _streams, "ssm": _states, "gate": _gate,
    "attention": _attention, "crossbar": _crossbar,
}  # fmt: skip


def core_features(engine: str, n: Numbers) -> tuple[Features, Memories]:
    """Features, and memories and multipliers, of cores of one engine (numbers or arrays)."""
    memories = Memories()
    found = _DENDRITES[engine](n, memories) | _update(n, memories) | _core(n, memories)
    return found | memories.features(), memories


def mesh_numbers(mesh: MeshParams, host: HostParams) -> dict[str, float]:
    """What of the mesh costs something besides its cores."""
    flit = mesh.flit
    return {
        "width": float(flit.width),
        "height": float(flit.height),
        "flit_bits": float(flit.flit_bits),
        "word_bits": float(host.word_bits),
        "levels": float(mesh.levels),
    }


def fabric_features(n: Numbers, board: Any = True) -> Features:
    """Routers, host port and, with a board, its top."""
    w, h, flit, word = n["width"], n["height"], n["flit_bits"], n["word_bits"]
    tiles, across, up = w * h, (w - 1) * h, w * (h - 1)
    one = np.ones_like(w)
    return {
        "router.tiles": tiles,
        "router.flit": tiles * flit,
        "router.across": across * flit,
        "router.up": up * flit,
        "router.links": across + up,
        "host.flit": flit,
        "host.word": word,
        "host.one": one,
        "top.word": word * board,
        "top.bytes": _ceil(word, 8) * 8 * board,
        "top.one": one * board,
    }
