"""The neuron core against the equations of hdl/params/neuron.py, in plain Python integers."""

import random

import pytest

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import FIELDS, CoreParams, Emit, Range, Reset
from hdl.params.noc import Memory
from tests.kit_core import packed_record, packed_state, state_of, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put


def sat(x, bits):
    return min(max(x, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


class Model:
    """Neurons by slot and rows by axon: {slot: weight << exponent}; nothing of the layout."""

    def __init__(self, p, records, rows):
        self.p, self.records, self.rows = p, records, rows
        self.membrane = [0] * p.slots
        self.current = [0] * p.slots
        self.acc = [0] * p.slots

    def event(self, axon, value):
        for slot, weight in self.rows[axon].items():
            self.acc[slot] += weight * (value if self.p.payload_bits else 1)

    def scale(self, x, f):
        return (x * f + (1 << (self.p.decay_bits - 1))) >> self.p.decay_bits

    def update(self, slots):
        p, sent = self.p, []
        for n in slots:
            f = self.records[n]
            x = self.acc[n] << f["shift"]
            if p.current_bits:
                self.current[n] = x = sat(
                    self.scale(self.current[n], f["current_decay"]) + x, p.current_bits
                )
            late = (
                f["reset_value"]
                if f["reset"] == Reset.DELAYED and self.membrane[n] > f["threshold"]
                else 0
            )
            v = self.scale(self.membrane[n], f["membrane_decay"]) + x + f["bias"] - late
            v = sat(v, p.membrane_bits)
            spike = f["emit"] == Emit.SPIKE and v > f["threshold"]
            if spike and f["reset"] == Reset.SET:
                v = f["reset_value"]
            elif spike and f["reset"] == Reset.SUBTRACT:
                v = sat(v - f["reset_value"], p.membrane_bits)
            self.membrane[n], self.acc[n] = v, 0
            value = 1 if spike else None
            if f["emit"] == Emit.VALUE:
                half = (1 << f["value_shift"]) >> 1
                value = sat((v + half) >> f["value_shift"], p.emission_bits) or None
            if f["emit"] == Emit.STATE:
                value = v
            if value is not None:
                sent.append((n, value if p.value_bits else 0))
        return sent


def random_core(draw, lanes, update_lanes, groups, index, **kw):
    """Parameters, images and the model of a core with random everything."""
    slots = lanes * groups
    axons = draw.choice([1, 2, 3, 7])
    values = kw.get("payload_bits", 0) or kw.get("emission_bits", 0)
    formats = dict(
        membrane_bits=draw.choice([8, 12, 16]),
        decay_bits=draw.choice([8, 12, 16]),
        weight_bits=kw.get("weight_bits", 4),
        acc_bits=24,
        exponent_bits=0 if index == "none" else draw.choice([0, 2]),
        payload_bits=kw.get("payload_bits", 0),
        emission_bits=kw.get("emission_bits", 0),
        value_bits=16 if values else 0,
        current_bits=kw.get("current_bits", 0),
    )
    words = slots // update_lanes
    cut = draw.randrange(words) // (lanes // update_lanes) * (lanes // update_lanes)
    ranges = (Range(level=0, first=0, end=words),)
    if cut:
        ranges = (Range(level=1, first=0, end=cut), Range(level=0, first=cut, end=words))

    top = 1 << (formats["membrane_bits"] - 1)

    def record():
        emits = [Emit.SPIKE, Emit.SPIKE, Emit.NONE]
        if values:
            emits += [Emit.STATE]
        if kw.get("emission_bits"):
            emits += [Emit.VALUE]
        return dict(
            membrane_decay=draw.choice([0, 1 << formats["decay_bits"], draw.randrange(1 << 8)]),
            current_decay=draw.randrange(1 << formats["decay_bits"])
            if kw.get("current_bits")
            else 0,
            bias=draw.randrange(-5, 5),
            threshold=draw.randrange(-3, top // 8),
            reset_value=draw.randrange(-top // 8, top // 8),
            shift=draw.randrange(3),
            value_shift=draw.randrange(4),
            reset=draw.choice(list(Reset)),
            emit=draw.choice(emits),
        )

    records = [record() for _ in range(slots)]
    shared = {}
    for name in FIELDS:
        where = draw.choice(["core", "range", "neuron"])
        if where == "core":
            shared[name] = int(records[0][name])
            for r in records:
                r[name] = records[0][name]
        elif where == "range":
            firsts = [r.first * update_lanes for r in ranges]
            shared[name] = tuple(int(records[n][name]) for n in firsts)
            for r, n in zip(ranges, firsts, strict=True):
                for slot in range(n, r.end * update_lanes):
                    records[slot][name] = records[n][name]

    # Rows, and how they lie in memory.
    low, high = -(1 << (formats["weight_bits"] - 1)), (1 << (formats["weight_bits"] - 1)) - 1
    bits = formats["weight_bits"]
    entries, headers, pointers, rows = [], [], [], []
    index_bits = (groups - 1).bit_length()
    for _ in range(axons):
        row, start = {}, len(entries) // lanes
        if index == "lane":
            count = draw.randrange(groups + 1)
            where = [draw.sample(range(groups), count) for _ in range(lanes)]
        else:
            chosen = list(range(groups))
            if index == "word":
                chosen = draw.sample(chosen, draw.randrange(groups + 1))
            where, count = [chosen] * lanes, len(chosen)
        for k in range(count):
            e = draw.randrange(1 << formats["exponent_bits"])
            for lane in range(lanes):
                g = where[lane][k]
                w = draw.choice([-1, 1]) if bits == 1 else draw.randint(low, high)
                code = (w > 0) if bits == 1 else w % (1 << bits)
                entries.append(int(code) | (g << bits if index == "lane" else 0))
                row[g * lanes + lane] = w << e
            headers.append((where[0][k] | e << index_bits) if index == "word" else e)
        pointers.append((start if count else 0, count))
        rows.append(row)
    p = CoreParams(
        slots=slots, lanes=lanes, update_lanes=update_lanes, levels=2, ranges=ranges,
        axons=axons, index=index, synapse_words=max(len(entries) // lanes, 1),
        row_words=groups, shared=shared, **formats,
    )  # fmt: skip
    packed = [packed_record(p, r) for r in records]
    images = {
        Memory.SYNAPSE: entries,
        Memory.SYNAPSE_HEADER: headers,
        Memory.POINTER: [s | c << p.start_bits for s, c in pointers],
        Memory.PARAMETER: packed,
    }
    return p, images, Model(p, records, rows)


CASES = [
    (1, 1, 1, "none", {}),
    (1, 1, 3, "none", {}),
    (1, 1, 5, "lane", {"current_bits": 10}),
    (2, 1, 2, "word", {}),
    (4, 2, 1, "word", {}),
    (2, 2, 1, "lane", {"weight_bits": 2}),
    (4, 2, 3, "word", {"payload_bits": 5, "emission_bits": 6}),
    (4, 4, 2, "lane", {"payload_bits": 8, "emission_bits": 8, "current_bits": 14}),
    (4, 1, 5, "none", {"weight_bits": 1}),
    (8, 2, 2, "word", {"weight_bits": 1}),
    (8, 8, 3, "none", {"emission_bits": 7}),
    (1, 1, 70, "lane", {"weight_bits": 8}),
    (2, 2, 66, "none", {"payload_bits": 6}),
    (16, 4, 2, "lane", {"weight_bits": 6, "current_bits": 9}),
]


@pytest.mark.parametrize("loaded", [False, True], ids=["initialised", "loaded"])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_core_follows_the_equations(case, seed, loaded):
    lanes, update_lanes, groups, index, kw = case
    draw = random.Random(f"{case} {seed}")
    p, images, model = random_core(draw, lanes, update_lanes, groups, index, **kw)
    port = ConfigPort(24, 80)
    dut = NeuronCore(p, port, None if loaded else images)
    stall = seed * 0.4
    got, log = [], []

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    until_idle, step, write = tile_side(dut)

    async def check_state(ctx):
        for n in range(p.slots):
            membrane, current, _ = await state_of(ctx, dut, n)
            assert membrane == model.membrane[n], (n, seed, log[-1])
            if p.current_bits:
                assert current == model.current[n], (n, seed)

    async def restore(ctx):
        """Any state into any slots, in any order."""
        await until_idle(ctx)
        for n in draw.sample(range(p.slots), draw.randint(1, p.slots)):
            half, top = 1 << (p.membrane_bits - 1), 1 << p.current_bits >> 1
            model.membrane[n] = draw.randrange(-half, half)
            model.current[n] = draw.randrange(-top, top) if top else 0
            item = packed_state(p, model.membrane[n], model.current[n])
            await write(ctx, Memory.STATE, n, item)
        await check_state(ctx)

    async def main(ctx):
        if loaded:
            for memory, items in images.items():
                for address, item in enumerate(items):
                    await write(ctx, memory, address, item)
        for number in range(8):
            if number in (3, 6):
                await restore(ctx)
            events = [
                {
                    "axon": draw.randrange(p.axons),
                    "value": draw.randrange(-8, 8) if p.value_bits else 0,
                }
                for _ in range(draw.choice([0, 1, 5, 12]))
            ]
            await stream_put(ctx, dut.i, events, seed=number, stall=stall)
            for e in events:
                model.event(e["axon"], e["value"])
            if number == 5:
                await step(ctx, 0, clear=1)
                model.membrane = [0] * p.slots
                model.current = [0] * p.slots
                model.acc = [0] * p.slots
                continue
            mask = draw.choice([1, 2, 3, 3])
            log.append(
                (number, mask, [e["axon"] for e in events], list(model.acc), list(model.membrane))
            )
            del got[:]
            await step(ctx, mask)
            slots = []
            for r in p.ranges:
                if mask >> r.level & 1:
                    slots += range(r.first * update_lanes, r.end * update_lanes)
            sent = model.update(slots)
            await until_idle(ctx)
            await ctx.tick()
            assert [(e.slot, e.value) for e in got] == sent, (number, seed)
            await check_state(ctx)

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 60000)
