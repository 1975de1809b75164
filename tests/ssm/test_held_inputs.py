"""Inputs of slots against a dictionary: set or add, forget, load, any order of events."""

import random

import pytest

from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Range
from hdl.params.noc import Memory
from hdl.params.ssm.gate import Gate, GateParams
from hdl.ssm.held import HeldInputs
from tests.kit_core import tile_side
from tests.kit_hdl import clocked, run, stream_put


def wrapped(value, bits):
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


@pytest.mark.parametrize(
    ("slots", "operands", "held", "bits", "spikes"),
    [
        (1, 1, True, 5, False),
        (1, 2, False, 4, False),
        (2, 2, True, 9, False),
        (3, 1, False, 2, True),
        (40, 1, True, 2, True),
        (40, 2, False, 18, False),
        (70, 2, True, 8, False),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_inputs_are_set_or_summed(slots, operands, held, bits, spikes, seed):
    draw = random.Random(f"{slots} {operands} {held} {seed}")
    axons = max(slots * 2, 5)
    p = CoreParams(
        slots=slots, axons=axons, ranges=(Range(level=0, first=0, end=slots),),
        value_bits=0 if spikes else bits, acc_bits=40,
        dendrites=GateParams(gate=Gate(value_bits=bits)),
    )  # fmt: skip
    slot_bits = (slots - 1).bit_length()
    where = [(draw.randrange(slots), draw.randrange(1 << operands)) for _ in range(axons)]
    pointers = [s | which << slot_bits for s, which in where]
    loaded = seed == 1
    images = {} if loaded else {Memory.POINTER: pointers}
    dut = HeldInputs(p, ConfigPort(12, 16), images, value_bits=bits, held=held, operands=operands)
    model = [[0] * operands for _ in range(slots)]
    _, _, write = tile_side(dut)

    async def read(ctx, slot, forget=0):
        ctx.set(dut.slot, slot)
        ctx.set(dut.forget, forget)
        await ctx.tick()
        ctx.set(dut.slot, draw.randrange(slots))
        ctx.set(dut.forget, 0)
        await ctx.tick()
        got = ctx.get(dut.values)
        assert [wrapped(got >> k * bits, bits) for k in range(operands)] == model[slot], (
            seed,
            slot,
        )
        if forget:
            model[slot] = [0] * operands

    async def main(ctx):
        for axon, item in enumerate(pointers):
            if loaded:
                await write(ctx, Memory.POINTER, axon, item)
        for _ in range(20):
            few = draw.sample(range(axons), draw.choice([1, 2, 3, 5]))
            events = [
                {"axon": draw.choice(few), "value": draw.randrange(-1 << bits - 1, 1 << bits - 1)}
                for _ in range(draw.choice([0, 1, 30]))
            ]
            if spikes:
                events = [event | {"value": 0} for event in events]
            ctx.set(dut.run, 1)
            await stream_put(ctx, dut.i, events, seed=seed, stall=draw.choice([0, 0.5]))
            for event in events:
                slot, which = where[event["axon"]]
                for k in range(operands):
                    if which >> k & 1:
                        value = 1 if spikes else event["value"]
                        model[slot][k] = wrapped(model[slot][k] * held + value, bits)
            ctx.set(dut.run, 0)
            while ctx.get(dut.busy):
                await ctx.tick()
            for _ in range(draw.randrange(4 * held + 1)):  # as fast as they can come
                slot = draw.randrange(slots)
                word = [draw.randrange(1 << bits) for _ in range(operands)]
                ctx.set(dut.slot, slot)
                ctx.set(dut.load, 1)
                ctx.set(dut.word, sum(value << k * bits for k, value in enumerate(word)))
                await ctx.tick()
                ctx.set(dut.load, 0)
                model[slot] = [wrapped(value, bits) for value in word]
            await ctx.tick().repeat(2)
            for slot in draw.sample(range(slots), min(slots, 8)):
                await read(ctx, slot, forget=draw.random() < 0.3)
                await ctx.tick()

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 20000)
