"""Changes that add up: a core that sends them, and one behind it that holds their weighted sum."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort, event_layout, step_signature
from hdl.params.neuron import FIELDS, CoreParams, Emit, Range
from hdl.params.noc import Memory
from tests.kit_core import tile_side
from tests.kit_hdl import clocked, run, stream_put
from tests.neuron.test_core import Model, sat

D = 8
COMMON = {
    "decay_bits": D, "weight_bits": 6, "acc_bits": 20, "payload_bits": 8, "value_bits": 8,
    "emission_bits": 8,
}  # fmt: skip


class Pair(wiring.Component):
    """A core whose events go to another one, slot n to axon n. Both step at once."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(source.params))),
                "step": In(step_signature(1)),
                "config": In(source.config_signature),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.source, m.submodules.target = source, target = self.source, self.target
        connect(m, flipped(self.i), source.i)
        connect(m, flipped(self.config), source.config)
        m.d.comb += [
            target.i.valid.eq(source.o.valid),
            target.i.p.axon.eq(source.o.p.slot),
            target.i.p.value.eq(source.o.p.value),
            source.o.ready.eq(target.i.ready),
            self.idle.eq(source.idle & target.idle),
        ]
        for core in (source, target):
            m.d.comb += [
                core.step.start.eq(self.step.start),
                core.step.mask.eq(self.step.mask),
                core.step.clear.eq(self.step.clear),
            ]
        return m


@pytest.mark.parametrize(("seed", "threshold"), [(5, 0), (6, 1), (7, 17)])
def test_changes_add_up(seed, threshold):
    """What was sent adds up to the values, but for the threshold; the target's currents follow."""
    draw = random.Random(f"{seed} {threshold}")
    slots, targets, axons = 4, 3, 2
    fields = dict.fromkeys(FIELDS, 0)
    sender = CoreParams(
        slots=slots, lanes=2, update_lanes=2, ranges=(Range(level=0, first=0, end=2),),
        axons=axons, synapse_words=4, membrane_bits=14, changes=True,
        shared=fields | {"membrane_decay": 250, "threshold": threshold, "emit": int(Emit.DELTA),
                         "value_shift": 4}, **COMMON,
    )  # fmt: skip
    holder = CoreParams(
        slots=targets, ranges=(Range(level=0, first=0, end=3),), axons=slots,
        synapse_words=slots * targets, membrane_bits=18, current_bits=18,
        shared=fields | {"current_decay": 1 << D}, **COMMON,
    )  # fmt: skip

    def weights(rows, columns):
        return [{n: draw.randrange(-32, 32) for n in range(columns)} for _ in range(rows)]

    def core(p, rows):
        items = [w % 64 for row in rows for w in row.values()]
        return NeuronCore(p, ConfigPort(16, 64), {Memory.SYNAPSE: items})

    rows, mixing = weights(axons, slots), weights(slots, targets)
    dut = Pair(core(sender, rows), core(holder, mixing))
    model = Model(sender, [dict(sender.shared)] * slots, rows)
    total, changes = [0] * slots, []
    until_idle, step, _ = tile_side(dut)

    async def listen(ctx):
        o = dut.source.o
        async for _, _, valid, ready, event in ctx.tick().sample(o.valid, o.ready, o.payload):
            if valid and ready:
                changes.append((event.slot, event.value))

    async def main(ctx):
        for number in range(60):
            for _ in range(draw.choice([0, 1, 2])):
                event = {"axon": draw.randrange(axons), "value": draw.randrange(-128, 128)}
                await stream_put(ctx, dut.i, [event])
                model.event(**event)
            sums = [sum(mixing[s][n] * total[s] for s in range(slots)) for n in range(targets)]
            del changes[:]
            clear = number == 40
            await step(ctx, 1, clear=clear)
            await until_idle(ctx)
            await ctx.tick()
            if clear:
                assert not changes
                model.membrane, model.acc = [0] * slots, [0] * slots
                total[:], sums = [0] * slots, [0] * targets
            else:
                model.update(range(slots))
            values = [sat((v + 8) >> 4, sender.sent_bits) for v in model.membrane]
            expected = [s for s in range(slots) if abs(values[s] - total[s]) > threshold]
            assert [slot for slot, _ in changes] == expected, number
            for slot, change in changes:
                total[slot] += change
                assert total[slot] == values[slot], number
            assert all(abs(v - t) <= threshold for v, t in zip(values, total, strict=True))
            for n in range(targets):
                ctx.set(dut.target.probe_slot, n)
                await ctx.tick().repeat(3)
                item = ctx.get(dut.target.probe)
                assert item >> holder.membrane_bits == sums[n] % (1 << 18), (number, n)
                assert item % (1 << 18) == sums[n] % (1 << 18), (number, n)

    sim = clocked(dut)
    sim.add_testbench(listen, background=True)
    sim.add_testbench(main)
    run(sim, 60000)
