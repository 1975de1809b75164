"""READ at the network interface, with a core that is busy at any time and a network that stalls."""

import random

import pytest

from hdl.noc.interface import NetworkInterface
from hdl.params.neuron import CoreParams, Range
from hdl.params.noc import ConfigOp, FlitParams, InterfaceParams, Memory
from tests.kit_hdl import clocked, getter, putter, run
from tests.noc.test_interface import config_flit, event_flit, flits_of, plain, route_word, select

FLIT = FlitParams(width=2, height=3, tag_bits=5, value_bits=6, config_bits=9)
SLOTS = 11
ROUTE = {"tag": 3, "rows": 2, "columns": 1, "last": 1, "valid": 1}


def build(membrane_bits: int, current_bits: int) -> NetworkInterface:
    core = CoreParams(
        slots=SLOTS,
        ranges=(Range(level=0, first=0, end=SLOTS),),
        axons=20,
        synapse_words=20 * SLOTS,
        value_bits=FLIT.value_bits,
        membrane_bits=membrane_bits,
        current_bits=current_bits,
    )
    images = {Memory.ROUTE: [route_word(ROUTE)] * SLOTS}
    return NetworkInterface(InterfaceParams(flit=FLIT), core, images)


def fake_core(dut: NetworkInterface, states: list[int], busy: float, draw: random.Random):
    """A core whose state shows only when it was idle for the 3 cycles of the probe.

    Its idle flag falls while events wait for it, and at random.
    """

    async def testbench(ctx):
        held = [(0, False)] * 3  # what was asked 1, 2, 3 cycles ago, and whether it rested
        resting = True
        while True:
            if draw.random() < 0.2:
                resting = draw.random() >= busy
            idle = resting and not ctx.get(dut.o_event.valid)
            slot = held[-1][0]
            good = idle and all(rested for _, rested in held)
            ctx.set(dut.core_idle, idle)
            word = states[slot] if good and slot < SLOTS else draw.getrandbits(40)
            ctx.set(dut.probe, word & ((1 << len(dut.probe)) - 1))
            _, _, asked = await ctx.tick().sample(dut.probe_slot)
            held = [(int(asked), idle), *held[:-1]]

    return testbench


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("busy", [0.0, 0.7])
@pytest.mark.parametrize("widths", [(8, 0), (11, 0), (12, 0), (20, 13)], ids=str)
def test_reads_give_the_state_of_a_core_at_rest(widths, busy, stall):
    """Items one after the other, 1 to 3 chunks each; events pass both ways at the same time."""
    seed = f"{widths} {busy} {stall}"
    draw = random.Random(seed)
    dut = build(*widths)
    bits, size = sum(widths), FLIT.chunk_bits
    states = [draw.getrandbits(bits) for _ in range(SLOTS)]
    reads = [(0, SLOTS), (SLOTS - 1, 1), (3, 4), (5, 0), (7, 2)]
    replies, events, sent = [], [], []
    expected = [
        [
            (states[slot] >> (size * k) & ((1 << size) - 1), 1, 1, 1)
            for slot in range(first, first + count)
            for k in range(-(-bits // size))
        ]
        for first, count in reads
    ]
    emitted = [{"slot": draw.randrange(SLOTS), "value": draw.randrange(-32, 32)} for _ in range(30)]
    owed = [flit for event in emitted for flit in flits_of([[ROUTE]] * SLOTS, event)]
    got = []

    async def main(ctx):
        for (first, count), wanted in zip(reads, expected, strict=True):
            flits = [select(Memory.STATE, first), config_flit(ConfigOp.READ, count)]
            for _ in range(draw.randrange(6)):
                sent.append((draw.randrange(20), draw.randrange(-32, 32)))
                flits.append(event_flit(*sent[-1]))
            await putter(dut.i_flit, flits, seed=len(sent), stall=stall)(ctx)
            while len(replies) < len(wanted):
                await ctx.tick()
            await ctx.tick().repeat(10)
            assert [plain(flit)[0] & ((1 << size) - 1) for flit in replies] == [
                body for body, *_ in wanted
            ], seed
            assert all(plain(flit)[1:] == (1, 1, 1) for flit in replies), seed
            del replies[:]
        while len(got) < len(owed):
            await ctx.tick()
        await ctx.tick().repeat(4)
        assert ctx.get(dut.idle)

    flits = _Sorted(replies, got)
    sim = clocked(dut)
    sim.add_testbench(fake_core(dut, states, busy, draw), background=True)
    sim.add_testbench(getter(dut.o_flit, flits, seed=5, stall=stall), background=True)
    sim.add_testbench(getter(dut.o_event, events, seed=6, stall=stall), background=True)
    sim.add_testbench(putter(dut.i_event, emitted, seed=7, stall=0.7))
    sim.add_testbench(main)
    run(sim, 20000)
    assert [plain(flit) for flit in got] == owed, seed
    assert [(e.axon, e.value) for e in events] == sent, seed


class _Sorted(list):
    """Takes flits, and hands replies to one list and events to another."""

    def __init__(self, replies: list, events: list) -> None:
        super().__init__()
        self.replies, self.events = replies, events

    def append(self, flit) -> None:
        super().append(flit)
        (self.replies if flit.kind else self.events).append(flit)


@pytest.mark.parametrize("count", [1, 3])
def test_not_idle_until_the_last_reply_has_left(count):
    dut = build(20, 13)
    left = []
    sim = clocked(dut)
    draw = random.Random(count)
    chunks = -(-33 // FLIT.chunk_bits)

    async def main(ctx):
        await putter(dut.i_flit, [config_flit(ConfigOp.READ, count)])(ctx)
        ready = 0
        while len(left) < count * chunks:
            ready = draw.random() < 0.2
            ctx.set(dut.o_flit.ready, ready)
            _, _, valid, idle = await ctx.tick().sample(dut.o_flit.valid, dut.idle)
            assert not idle
            if valid and ready:
                left.append(1)
        ctx.set(dut.o_flit.ready, 0)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.o_flit.valid)

    sim.add_testbench(fake_core(dut, [0] * SLOTS, 0.0, draw), background=True)
    sim.add_testbench(main)
    run(sim, 3000)
