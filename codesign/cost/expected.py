"""What each feature is expected to cost, from reading the RTL: where a fit starts from.

A fit draws coefficients towards these figures (LUT, FF; codesign/cost/fit.py), so that a feature
that few runs tell of keeps a sensible cost: a register is a flip-flop a bit, an adder or a
multiplexer of two words a LUT a bit, a cell of LUT RAM four LUTs. What is expected to cost nothing
costs nothing.
"""

__all__ = ["EXPECTED"]

#: feature: (LUT, FF), of one of what it counts
EXPECTED: dict[str, tuple[float, float]] = {
    "acc.add": (1.1, 0), "acc.amount": (0.2, 1), "acc.deep": (0.5, 1), "acc.forward": (1.2, 1),
    "acc.index": (0.5, 2), "acc.select": (0.5, 0), "acc.shift": (1, 0), "acc.word": (0, 1),
    "core.decays": (0, 0.5), "core.one": (60, 30),
    "core.pipe": (0, 1), "core.ranges": (0.5, 0), "core.read": (0, 1),
    "core.slot": (2, 3), "core.state": (0.5, 0), "core.word": (6, 4), "emit.bits": (0.5, 1),
    "emit.changes": (4, 3), "emit.clip": (2, 1), "emit.lanes": (3, 1), "emit.pick": (0.7, 0),
    "emit.record": (0.6, 0), "emit.shift": (3, 1), "emit.tables": (1, 2), "emit.value": (2, 3),
    "fetch.ff": (0, 1), "fetch.lut": (2, 0),
    "fifo.bits": (1, 1), "fifo.places": (4, 2), "gate.spread": (4, 8), "win.group": (3, 2),
    "win.scores": (3, 1), "gate.acc": (1, 1), "gate.one": (30, 30),
    "gate.product": (1, 0), "head.causal": (2, 2), "head.dim": (4, 4), "head.one": (150, 100),
    "head.read": (0, 1), "head.size": (0.5, 0.2), "head.tokens": (5, 5), "held.add": (4, 3),
    "held.bits": (1, 4), "held.probe": (1, 1), "held.read": (0, 1), "held.slot": (2, 8),
    "host.flit": (2, 3), "host.one": (40, 40), "host.word": (1, 1), "lanes": (3, 0),
    "ni.chunk": (2, 2), "ni.entries": (2, 1), "ni.flit": (1, 1), "ni.items": (0.5, 0),
    "ni.probe": (0.5, 0), "ni.stage": (0, 1), "ni.value": (0, 1), "ram.cells": (4, 0),
    "ram.flops": (1, 1), "ram.muxes": (0.7, 0), "ram.reads": (0, 1), "router.across": (4, 4),
    "router.flit": (9, 5), "router.links": (15, 8), "router.tiles": (40, 15), "router.up": (4, 4),
    "sc.address": (1, 4), "sc.banks": (10, 10), "sc.count": (3, 3), "sc.decide": (4, 3),
    "sc.depth": (4, 3), "sc.lanes": (3, 6), "sc.lfsr": (2, 2), "sc.numbers": (3, 2),
    "sc.one": (150, 100), "sc.read": (0, 1), "sc.scale": (3, 2), "sc.scaled": (0.5, 0),
    "sc.select": (1, 0), "sc.stop": (5, 4), "sc.tiles": (2, 1), "sc.values": (1, 1),
    "ssm.acc": (0, 1), "ssm.complex": (1, 0), "ssm.drawn": (1, 3), "ssm.drive": (2, 2),
    "ssm.lanes": (5, 3), "ssm.mix": (1, 1), "ssm.one": (60, 40), "ssm.probe": (0.7, 0),
    "ssm.product": (1, 1), "ssm.read": (0, 1), "ssm.state": (3, 1), "ssm.sum": (1, 1),
    "ssm.word": (3, 8), "top.bytes": (2, 2), "top.one": (120, 120), "top.word": (1, 2),
    "update.acc": (0.3, 1), "update.bias": (1, 0), "update.bits": (6, 2),
    "update.current": (4, 3), "update.lanes": (5, 4), "update.late": (1, 0),
    "update.less": (1.5, 0),
    "update.own": (0, 1), "update.product": (0, 1), "update.ranged": (0.3, 0),
    "update.set": (0.3, 0), "update.drive": (0, 1), "update.rest": (1, 1),
    "update.shift": (1, 0), "update.terms": (1.2, 0),
    "xbar.columns": (3, 2), "xbar.converters": (3, 2), "xbar.draws": (1, 1),
    "xbar.one": (1000, 600),
    "xbar.read": (0, 1), "xbar.rows": (2, 1), "xbar.senses": (1, 1), "xbar.width": (2, 2),
}  # fmt: skip
