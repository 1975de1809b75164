"""Sums that end when they have decided, against the equations of hdl/params/sc/dense.py."""

import random
from dataclasses import dataclass, field, replace

import pytest

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import FIELDS, Emit, Reset
from hdl.params.noc import Memory
from hdl.sc.dense import DenseDendrites
from tests.kit_core import state_of, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put
from tests.sc.test_dense_core import Bench, bit, dense, give, numbers

SIGNED = ("bias", "threshold", "reset_value")


def scale(value, factor, bits):
    return (value * factor + (1 << bits >> 1)) >> bits


def clip(value, bits):
    return min(max(value, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


def partial_sums(s, pairs):
    """sum(k) for k = 0..S of `pairs`: weight, value, generator of each source."""
    whole, counts = s.weight_bits + s.value_bits, [0] * (1 << s.source_bits)
    drawn = {g: numbers(s, g) for *_, g in pairs}
    for w, x, g in pairs:
        sign = 1 if (w < 0) == (x < 0) else -1
        for t, (u, v) in enumerate(zip(*drawn[g], strict=True)):
            one = bit(abs(w), s.weight_bits, u, s.source_bits)
            counts[t] += sign * (one & bit(abs(x), s.value_bits, v, s.source_bits))
    return [sum(counts[: 1 << k]) << (whole - k) for k in range(s.source_bits + 1)]


def input_of(s, sums, neuron, lead, length, tolerance, margin):
    """(the input, its k, why it ended there)."""
    if (tolerance < 0 and margin < 0) or s.first >= length:
        return sums[length], length, "full"
    for k in range(s.first, length):
        distance = abs((sums[k] << neuron["shift"]) + lead)
        places = margin << (s.weight_bits + s.value_bits - k) << neuron["shift"]
        if margin >= 0 and neuron["emit"] == Emit.SPIKE and distance > places:
            return sums[k], k, "decided"
        if tolerance >= 0 and k > s.first and abs(sums[k] - sums[k - 1]) <= tolerance:
            return sums[k], k, "settled"
    return sums[length], length, "full"


@dataclass
class Neurons(Bench):
    """A core of neurons of all kinds; `mixed`: each has its own fields, else each range."""

    membrane_bits: int = 16
    current_bits: int = 0
    mixed: bool = True
    shifts: tuple[int, ...] = (0, 1, 2)
    neurons: list[dict[str, int]] = field(init=False)

    def __post_init__(self):
        super().__post_init__()
        ranges = self.params.ranges
        kinds = [self._neuron(k) for k in range(self.slots if self.mixed else len(ranges))]
        self.neurons, shared = kinds, {}
        if not self.mixed:
            self.neurons = [
                kinds[next(k for k, r in enumerate(ranges) if slot < r.end)]
                for slot in range(self.slots)
            ]
            for name in FIELDS:
                values = tuple(kind[name] for kind in kinds)
                shared[name] = values[0] if len(set(values)) == 1 else values
        self.params = replace(
            self.params, membrane_bits=self.membrane_bits, current_bits=self.current_bits,
            shared=shared, decay_bits=8,
        )  # fmt: skip

    def _neuron(self, number):
        """Thresholds and biases are of the size of sums."""
        draw, s = self.draw, self.dense.streams
        shift = draw.choice(self.shifts)
        size = min((1 << (s.weight_bits + s.value_bits + shift)), (1 << self.membrane_bits) // 4)
        threshold = draw.randint(-size // 4, size)
        if draw.random() < 0.25:  # out of reach
            threshold = draw.choice([-1, 1]) * (1 << (self.membrane_bits - 2))
        return {
            "membrane_decay": draw.choice([0, 100, 230, 256]),
            "current_decay": draw.choice([0, 77, 200]) if self.current_bits else 0,
            "bias": draw.randint(-size // 4, size // 4),
            "threshold": threshold,
            "reset_value": draw.randint(0, size - 1),
            "shift": shift,
            "value_shift": 0,
            "reset": draw.choice(list(Reset)),
            "emit": Emit.SPIKE if number % 4 != 3 else draw.choice([Emit.STATE, Emit.NONE]),
        }

    @property
    def images(self):
        records, p = [], self.params
        for neuron in self.neurons:
            record, at = 0, 0
            for name in p.table_fields:
                record |= (neuron[name] & ((1 << p.field_bits(name)) - 1)) << at
                at += p.field_bits(name)
            records.append(record)
        return super().images | ({Memory.PARAMETER: records} if p.record_bits else {})

    def lead(self, neuron, state):
        """What a neuron is above its threshold without input."""
        membrane, current = state
        d = self.params.decay_bits
        rest = scale(membrane, neuron["membrane_decay"], d) + neuron["bias"]
        if self.current_bits:
            rest += scale(current, neuron["current_decay"], d)
        if neuron["reset"] == Reset.DELAYED and membrane > neuron["threshold"]:
            rest -= neuron["reset_value"]
        return rest - neuron["threshold"]

    def updated(self, neuron, state, total):
        """(state, what it sends or None) after the update of hdl/params/neuron.py."""
        membrane, current = state
        d, bits = self.params.decay_bits, self.membrane_bits
        x = total << neuron["shift"]
        if self.current_bits:
            faded = scale(current, neuron["current_decay"], d)
            x = current = clip(faded + x, self.current_bits)
        late = 0
        if neuron["reset"] == Reset.DELAYED and membrane > neuron["threshold"]:
            late = neuron["reset_value"]
        v = clip(scale(membrane, neuron["membrane_decay"], d) + x + neuron["bias"] - late, bits)
        spike = neuron["emit"] == Emit.SPIKE and v > neuron["threshold"]
        after = v
        if spike and neuron["reset"] == Reset.SET:
            after = neuron["reset_value"]
        if spike and neuron["reset"] == Reset.SUBTRACT:
            after = clip(v - neuron["reset_value"], bits)
        sends = 1 if spike else after if neuron["emit"] == Emit.STATE else None
        return (after, current), sends

    def step(self, values, states, control):
        """(states, events, [(k, why)]) of an update."""
        d, events, ends, new = self.dense, [], [], []
        for slot, (neuron, state) in enumerate(zip(self.neurons, states, strict=True)):
            row = self.weights[slot]
            pairs = [(row[c], x, c % d.lanes // d.bank_lanes) for c, x in values.items()]
            sums = partial_sums(d.streams, pairs)
            total, *end = input_of(d.streams, sums, neuron, self.lead(neuron, state), *control)
            state, sends = self.updated(neuron, state, total)
            new.append(state)
            ends.append(tuple(end))
            if sends is not None:
                events.append((slot, sends))
        return new, events, ends


def core(lanes, columns, slots, *, own=True, membrane=16, current=0, shifts=(0, 1, 2), **streams):
    made = dense(lanes, columns, **{"margin": 0} | streams)
    keys = {"mixed": own, "membrane_bits": membrane, "current_bits": current, "shifts": shifts}
    return made, slots, keys


CASES = {
    "one lane": core(1, 5, 6, weight_bits=4, source_bits=4, log2_length=4, first=0),
    "shared by range": core(
        4, 8, 6, own=False, shifts=(2,), weight_bits=3, source_bits=3, log2_length=3, first=0
    ),
    "current": core(
        16, 48, 5, current=18, weight_bits=7, source_bits=7, log2_length=7, generators=4, first=1
    ),
    "values": core(
        8, 16, 4, membrane=24, current=22, weight_bits=7, value_bits=7, source_bits=8,
        log2_length=8, first=2, margin=4,
    ),
    "narrow": core(
        2, 6, 5, membrane=8, shifts=(0, 3, 7, 15), weight_bits=5, value_bits=7, source_bits=5,
        log2_length=4, first=0, generators=2, margin=255,
    ),
    "wide": core(
        4, 4, 4, own=False, membrane=32, shifts=(0, 5, 10), weight_bits=4, source_bits=4,
        log2_length=4, first=1, margin=1,
    ),
    "lfsr": core(
        4, 12, 5, current=16, weight_bits=3, value_bits=3, source_bits=5, log2_length=5,
        generators=4, generator="lfsr", seed=5, first=1,
    ),
    "never early": core(
        4, 8, 3, weight_bits=3, source_bits=3, log2_length=3, first=3
    ),
}  # fmt: skip


def drive(bench, *, seed, stall, steps):
    """Random steps with margins set at run time; every event and state is checked."""
    d, draw, p = bench.dense, bench.draw, bench.params
    s = d.streams
    dut = NeuronCore(p, ConfigPort(24, 80), bench.images)
    got, ends = [], []

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    until_idle, step, write = tile_side(dut)

    async def new_control(ctx):
        most = d.columns << (s.weight_bits + s.value_bits)
        new = (
            draw.choice([s.source_bits, s.source_bits, draw.randint(0, s.source_bits)]),
            draw.choice([-1, -1, 0, 3, draw.randrange(most)]),
            draw.choice([-1, 0, 0, 1, 4, 255, draw.randint(0, 20)]),
        )
        await write(ctx, Memory.CONTROL, 0, d.control(*new))
        return new

    async def main(ctx):
        control = s.log2_length, s.tolerance, s.margin
        states = [(0, 0)] * p.slots
        for number in range(steps):
            where = (number, seed, control)
            del got[:]
            events, values = bench.events()
            await stream_put(ctx, dut.i, events, seed=number, stall=stall)
            if draw.random() < 0.1:
                await step(ctx, 0, clear=1)
                states = [(0, 0)] * p.slots
                await until_idle(ctx)
            else:
                await step(ctx, 2)
                states, sent, new_ends = bench.step(values, states, control)
                if values:
                    ends.extend(new_ends)
                if draw.random() < 0.3:
                    await ctx.tick().repeat(draw.randint(1, 40))
                    control = await new_control(ctx)  # during the update: for the next one
                await until_idle(ctx)
                assert [(e.slot, e.value) for e in got] == sent, (where, new_ends)
            for slot in range(p.slots):
                assert (await state_of(ctx, dut, slot))[:2] == states[slot], (where, slot)
            if draw.random() < 0.5:
                control = await new_control(ctx)

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 300000)
    return ends


@pytest.mark.parametrize("name", CASES)
def test_core_follows_the_equations(name):
    """All resets and emissions, own and shared fields, margins with and without tolerances."""
    made, slots, keys = CASES[name]
    ends = []
    for seed in range(2):
        draw = random.Random(f"decide {name} {seed}")
        bench = Neurons(made, slots, min(made.columns + 1, 20), draw, **keys)
        ends += drive(bench, seed=seed, stall=0.4 * seed, steps=24)
    why = {reason for _, reason in ends}
    assert why == ({"full"} if name == "never early" else {"full", "settled", "decided"})
    if name != "never early":
        decided = {k for k, reason in ends if reason == "decided"}
        assert made.streams.first in decided, "nothing decided at once"
        assert len(decided) > 1, "decided at one length only"


@pytest.mark.parametrize("name", [name for name in CASES if name != "never early"])
def test_cycles_and_when_lead_must_be_there(name):
    """`lead` is wrong until 7 cycles after `start` or the take before; sums end on time."""
    made, slots, keys = CASES[name]
    s, draw = made.streams, random.Random(f"cycles {name}")
    bench = Neurons(made, slots, min(made.columns, 20) + 1, draw, **keys)
    tolerance, margin = draw.choice([-1, 5]), draw.choice([0, 1, 4])
    control = {Memory.CONTROL: [made.control(s.source_bits, tolerance, margin)]}
    dut = DenseDendrites(bench.params, ConfigPort(24, 80), bench.images | control)
    bits, whole = bench.params.membrane_bits, s.weight_bits + s.value_bits
    leads, ages = [], [0]

    async def neurons(ctx):
        while True:
            if leads and ages[0] >= 7:
                neuron, lead = leads[0]
                ctx.set(dut.lead.lead, lead)
                ctx.set(dut.lead.shift, neuron["shift"])
                ctx.set(dut.lead.spikes, neuron["emit"] == Emit.SPIKE)
            else:
                ctx.set(dut.lead.lead, draw.getrandbits(bits))
                ctx.set(dut.lead.shift, draw.getrandbits(4))
                ctx.set(dut.lead.spikes, draw.getrandbits(1))
            await ctx.tick()
            ages[0] += 1

    async def main(ctx):
        decided = 0
        for number in range(10):
            values = await give(ctx, dut, bench)
            active = len({c // made.lanes for c in values})
            expected = []
            for neuron, row in zip(bench.neurons, bench.weights, strict=True):
                pairs = [(row[c], x, c % made.lanes // made.bank_lanes) for c, x in values.items()]
                sums = partial_sums(s, pairs)
                most = max(map(abs, sums)) + 9
                lead = draw.randint(-most, most) << neuron["shift"] | draw.getrandbits(4)
                if draw.random() < 0.7:  # at the edge of the margin at one check
                    k = draw.randint(s.first, s.source_bits - 1)
                    edge = sums[k] + draw.choice([-1, 1]) * (margin << (whole - k))
                    lead = draw.choice([-1, 0, 1]) - (edge << neuron["shift"])
                lead = clip(lead, len(dut.lead.lead))
                leads.append((neuron, lead))
                expected.append(input_of(s, sums, neuron, lead, s.source_bits, tolerance, margin))
            ctx.set(dut.start, 1)
            ages[0] = 0
            await ctx.tick()
            ctx.set(dut.start, 0)
            cycle, due = 1, 0
            for slot, (value, k, why) in enumerate(expected):
                due += active * ((1 << k) + k - s.first + 1) + dut.stop_latency
                decided += why == "decided"
                while not ctx.get(dut.ready):
                    await ctx.tick()
                    cycle += 1
                assert cycle == due, (number, slot, k, why)
                ctx.set(dut.take, 1)
                ctx.set(dut.group, slot)
                leads.pop(0)
                ages[0] = 0
                await ctx.tick()
                ctx.set(dut.take, 0)
                await ctx.tick()
                assert ctx.get(dut.sums[0]) == value, (number, slot, why)
                cycle += 2
            await ctx.tick().repeat(2)
        assert decided

    sim = clocked(dut)
    sim.add_testbench(main)
    sim.add_testbench(neurons, background=True)
    run(sim, 50000)
