"""What neurons send, in every form, against the equations in plain Python."""

import random

import pytest

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import FIELDS, CoreParams, Emit, Range, Reset, sends_changes, sends_value
from hdl.params.noc import Memory
from tests.kit_core import packed_record, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put
from tests.neuron.test_core import Model, sat


class Sender(Model):
    """The model of a core with the values, tables and changes that it sends."""

    def __init__(self, p, records, rows, tables=()):
        super().__init__(p, records, rows)
        self.sent, self.tables = [0] * p.slots, tables

    def clear(self):
        for held in (self.membrane, self.current, self.acc, self.sent):
            held[:] = [0] * self.p.slots

    def value(self, n):
        """What neuron n has to say."""
        p, f = self.p, self.records[n]
        half = (1 << f["value_shift"]) >> 1
        q = (self.membrane[n] + half) >> f["value_shift"]
        bits = p.emission_bits - sends_changes(f["emit"])
        if f["emit"] in (Emit.RELU, Emit.RELU_DELTA):
            return min(max(q, 0), 2 ** (bits - 1) - 1)
        if f["emit"] in (Emit.TABLE, Emit.TABLE_DELTA):
            word = n // p.update_lanes
            number = next(
                t for t, r in zip(p.tables, p.ranges, strict=True) if r.first <= word < r.end
            )
            return self.tables[number][sat(q, p.table_bits) + 2 ** (p.table_bits - 1)]
        return sat(q, bits)

    def update(self, slots):
        events = []
        for n in slots:
            event, f = super().update([n]), self.records[n]
            if sends_changes(f["emit"]):
                change = self.value(n) - self.sent[n]
                event = [(n, change)] if abs(change) > f["threshold"] else []
                self.sent[n] += change if event else 0
            elif sends_value(f["emit"]):
                event = [(n, self.value(n))] if self.value(n) else []
            events += event
        return events


def dense(p, rows):
    """The synapse memory of these rows."""
    return [row[slot] % (1 << p.weight_bits) for row in rows for slot in range(p.slots)]


def encoded(tables, bits):
    return [entry % (1 << bits) for table in tables for entry in table]


def state_item(p, membrane, sent):
    """An item of Memory.STATE of a core without currents."""
    return membrane % (1 << p.membrane_bits) | sent % (1 << p.sent_bits) << p.membrane_bits


def signed(bits, item):
    return (item & ((1 << bits) - 1)) - ((item >> (bits - 1) & 1) << bits)


async def check_state(ctx, dut, model, why):
    p = dut.params
    for n in range(p.slots):
        ctx.set(dut.probe_slot, n)
        await ctx.tick().repeat(3)
        item = ctx.get(dut.probe)
        assert signed(p.membrane_bits, item) == model.membrane[n], (n, why)
        if p.changes:
            assert signed(p.sent_bits, item >> p.state_bits) == model.sent[n], (n, why)


def random_core(draw, lanes, update_lanes, groups, where, **kw):
    """(parameters, images, model): `where` the fields are shared: "core", "range" or "neuron"."""
    slots, words, axons = lanes * groups, lanes * groups // update_lanes, 3
    formats = dict(
        membrane_bits=12, decay_bits=8, weight_bits=6, acc_bits=20, payload_bits=6, value_bits=12,
        emission_bits=6,
    ) | kw  # fmt: skip
    step = lanes // update_lanes
    ends = sorted({draw.randrange(1, groups + 1) * step for _ in range(2)} | {words})
    ranges = tuple(
        Range(level=draw.randrange(2), first=first, end=end)
        for first, end in zip([0, *ends], ends, strict=False)
    )
    bits = kw.get("table_bits", 0)
    forms = list(Emit) if where == "neuron" else [e for e in Emit if sends_value(e)]
    forms = [
        e
        for e in forms
        if (kw.get("changes") or not sends_changes(e))
        and (bits or e not in (Emit.TABLE, Emit.TABLE_DELTA))
    ]

    def record():
        return dict(
            membrane_decay=draw.choice([0, 256, 200]),
            current_decay=0,
            bias=draw.randrange(-40, 40),
            threshold=draw.choice([0, 0, 1, 3, 20, 300]),
            reset_value=draw.randrange(100),
            shift=draw.randrange(3),
            value_shift=draw.choice([0, 1, 2, 3, 5]),
            reset=draw.choice(list(Reset)),
            emit=draw.choice(forms),
        )

    of_range = [record() for _ in ranges]
    records, shared = [], {}
    for r, own in zip(ranges, of_range, strict=True):
        for _ in range((r.end - r.first) * update_lanes):
            records.append(
                record() if where == "neuron" else own if where == "range" else of_range[0]
            )
    if where == "core":
        shared = {name: int(value) for name, value in of_range[0].items()}
    elif where == "range":
        shared = {name: tuple(int(own[name]) for own in of_range) for name in of_range[0]}
    count = draw.randrange(1, 4)
    top = 1 << (formats["emission_bits"] - 2)  # of changes
    tables = [[draw.randrange(-top, top) for _ in range(1 << bits)] for _ in range(count)]
    p = CoreParams(
        slots=slots, lanes=lanes, update_lanes=update_lanes, levels=2, ranges=ranges, axons=axons,
        synapse_words=axons * groups, shared=shared,
        tables=tuple(draw.randrange(count) for _ in ranges) if bits else (), **formats,
    )  # fmt: skip
    tables = tables[: max(p.tables) + 1] if bits else []
    rows = [{n: draw.randrange(-32, 32) for n in range(slots)} for _ in range(axons)]
    images = {
        Memory.SYNAPSE: dense(p, rows),
        Memory.PARAMETER: [packed_record(p, r) for r in records],
        Memory.TABLE: encoded(tables, p.emission_bits),
    }
    return p, images, Sender(p, records, rows, tables)


EVERY = {"changes": True, "table_bits": 4}
CASES = [
    (1, 1, 1, "neuron", EVERY),
    (1, 1, 3, "range", EVERY),
    (1, 1, 2, "core", {}),
    (1, 1, 3, "core", {"changes": True}),
    (2, 2, 3, "core", {"table_bits": 3}),
    (2, 1, 5, "neuron", {"table_bits": 7}),
    (2, 2, 5, "neuron", EVERY | {"emission_bits": 9}),
    (4, 4, 3, "range", EVERY | {"emission_bits": 12, "table_bits": 6}),
    (4, 2, 4, "neuron", EVERY | {"current_bits": 12, "emission_bits": 3}),
    (8, 4, 2, "core", EVERY),
    (1, 1, 67, "neuron", EVERY | {"table_bits": 7}),
    (2, 2, 66, "range", EVERY | {"membrane_bits": 16}),
]


@pytest.mark.parametrize(("seed", "case"), list(enumerate(CASES)), ids=str)
def test_emissions_follow_the_equations(seed, case):
    lanes, update_lanes, groups, where, kw = case
    draw = random.Random(f"{case} {seed}")
    p, images, model = random_core(draw, lanes, update_lanes, groups, where, **kw)
    loaded = images.pop(Memory.TABLE) if seed % 2 else []
    dut = NeuronCore(p, ConfigPort(24, 100), images)
    got = []
    until_idle, step, write = tile_side(dut)

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=seed % 3 * 0.3, into=got)

    async def main(ctx):
        for address, item in enumerate(loaded):
            await write(ctx, Memory.TABLE, address, item)
        for number in range(9):
            for _ in range(draw.choice([0, 1, 3])):
                event = {"axon": draw.randrange(p.axons), "value": draw.randrange(-32, 32)}
                await stream_put(ctx, dut.i, [event])
                model.event(**event)
            if number == 5:
                await step(ctx, 0, clear=1)
                model.clear()
                continue
            if number == 7 and model.tables:
                await until_idle(ctx)
                table, index = draw.randrange(len(model.tables)), draw.randrange(1 << p.table_bits)
                model.tables[table][index] = 1
                await write(ctx, Memory.TABLE, table << p.table_bits | index, 1)
            mask = draw.choice([1, 2, 3, 3])
            del got[:]
            await step(ctx, mask)
            due = []
            for r in p.ranges:
                if mask >> r.level & 1:
                    due += range(r.first * update_lanes, r.end * update_lanes)
            events = model.update(due)
            await until_idle(ctx)
            await ctx.tick()
            assert [(e.slot, e.value) for e in got] == events, (number, mask, seed)
            if number in (0, 4, 6, 8):
                await check_state(ctx, dut, model, (number, seed))

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 60000)


def test_every_membrane_in_every_form():
    """32 slots hold all membranes of 5 bits; what each has sent, and its threshold, are random."""
    draw = random.Random(3)
    p = CoreParams(
        slots=32, ranges=(Range(level=0, first=0, end=32),), axons=1, synapse_words=32, acc_bits=4,
        membrane_bits=5, decay_bits=4, value_bits=5, emission_bits=4, changes=True, table_bits=3,
        tables=(0,), shared=dict.fromkeys(["bias", "shift", "reset", "reset_value"], 0)
        | {"membrane_decay": 16},
    )  # fmt: skip
    table = [-4, 3, 0, -1, 2, 1, 0, -3]
    fields = dict.fromkeys(FIELDS, 0) | {"membrane_decay": 16}
    model = Sender(p, [fields] * 32, [{}], [table])
    dut = NeuronCore(p, ConfigPort(16, 32), {Memory.TABLE: encoded([table], 4)})
    got = []
    until_idle, step, write = tile_side(dut)

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, into=got)

    async def main(ctx):
        for emit in [Emit.STATE, *(e for e in Emit if sends_value(e))]:
            for shift in (0, 1, 3, 31):
                model.records = [
                    fields
                    | {
                        "threshold": draw.choice([-1, 0, 1, 4, 15]),
                        "value_shift": shift,
                        "emit": emit,
                    }
                    for _ in range(32)
                ]
                model.membrane = list(range(-16, 16))
                model.sent = [draw.randrange(-4, 4) for _ in range(32)]
                for n in range(32):
                    await write(ctx, Memory.PARAMETER, n, packed_record(p, model.records[n]))
                    item = state_item(p, model.membrane[n], model.sent[n])
                    await write(ctx, Memory.STATE, n, item)
                del got[:]
                await step(ctx, 1)
                events = model.update(range(32))
                await until_idle(ctx)
                await ctx.tick()
                assert [(e.slot, e.value) for e in got] == events, (emit, shift)
            await check_state(ctx, dut, model, emit)

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 60000)
