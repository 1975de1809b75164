"""A neuron core behind an attention head, in Verilator, against the twin and the equations."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.neuron.dendrites import dendrites_for
from hdl.neuron.ports import ConfigPort, emission_layout
from hdl.params.neuron import CoreParams, Emit, Range, Reset
from hdl.params.noc import Memory
from hdl.params.sc.attention import PORTS, AttentionParams
from sim.golden.sc.attention import attend, initial_states
from sim.verilated import StopOn, Verilated
from tests.kit_core import packed_record
from tests.kit_hdl import clocked, run
from tests.neuron.test_core import Model

EVENT, STEP, CLEAR, POINTER = range(4)


class Bench(wiring.Component):
    """A core that obeys a stream of words and answers with its events, and a mark after each step.

    `i`: what to do (2 bits), axon or address (16), pointer (32). `o`: the core's event, then 1 bit
    that makes it a mark instead.
    """

    def __init__(self, params, images):
        self.core = NeuronCore(params, ConfigPort(16, 32), images)
        width = emission_layout(params).size + 1
        super().__init__(
            {"i": In(stream.Signature(50)), "o": Out(stream.Signature(width))},
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        what, at, item = self.i.payload[:2], self.i.payload[2:18], self.i.payload[18:]
        stepping = Signal()
        settled = Signal()  # `idle` is not yet low in the cycle of the start
        event = Cat(core.o.payload.as_value(), Const(0, 1))
        m.d.comb += [
            core.i.p.axon.eq(at),
            core.config.memory.eq(Memory.POINTER),
            core.config.address.eq(at),
            core.config.data.eq(item),
            core.step.mask.eq(at),
            core.step.clear.eq(what == CLEAR),
            core.o.ready.eq(self.o.ready),
            self.o.valid.eq(core.o.valid),
            self.o.payload.eq(event),
        ]
        m.d.sync += settled.eq(stepping)
        with m.If(stepping), m.If(settled & core.idle):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(1 << len(event) - 1)]
            with m.If(self.o.ready):
                m.d.sync += stepping.eq(0)
        with m.Elif(self.i.valid), m.Switch(what):
            with m.Case(EVENT):
                m.d.comb += [core.i.valid.eq(1), self.i.ready.eq(core.i.ready)]
            with m.Case(POINTER):
                m.d.comb += [core.config.en.eq(1), self.i.ready.eq(1)]
            with m.Default(), m.If(core.idle):
                m.d.comb += [core.step.start.eq(1), self.i.ready.eq(1)]
                m.d.sync += stepping.eq(1)
        return m


def core_of(draw, head, kind, ranges=1):
    """(core parameters, records of all neurons, pointers, images) of a random core."""
    n = head.size
    spikes = kind != "states"
    records = []
    for _ in range(n):
        plain = kind == "answers"  # a spike for each 1 of A
        records.append(
            dict(
                membrane_decay=0 if plain else draw.choice([0, 4096, 3000, 3900]),
                current_decay=0,
                bias=0 if plain else draw.randrange(-1, 2),
                threshold=0 if plain else draw.randrange(20),
                reset_value=0 if plain else draw.randrange(6),
                shift=0 if plain else draw.randrange(5),
                value_shift=0,
                reset=Reset.SET if plain else draw.choice([Reset.SET, Reset.SUBTRACT]),
                emit=Emit.SPIKE if spikes else Emit.STATE,
            )
        )
    axons = [
        head.item(i, d, port) for i in range(head.tokens) for d in range(head.dim) for port in PORTS
    ]
    axons += [head.item(0, 0), head.item(head.tokens - 1, head.dim - 1)]  # of no matrix
    axons += [head.item(draw.randrange(head.tokens), draw.randrange(head.dim), *PORTS)]
    draw.shuffle(axons)
    ends = [*sorted(draw.sample(range(1, n), ranges - 1)), n]
    p = CoreParams(
        slots=n, axons=len(axons), dendrites=head, value_bits=0 if spikes else 16, acc_bits=2,
        ranges=tuple(
            Range(level=1, first=first, end=end)
            for first, end in zip([0, *ends], ends, strict=False)
        ),
        levels=2, shared=dict(records[0]) if kind == "answers" else {},
    )  # fmt: skip
    packed = [packed_record(p, r) for r in records]
    return p, records, axons, {Memory.PARAMETER: packed} if p.record_bits else {}


def compiled(p, images):
    """The bench of a core."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in emit_verilog(Bench(p, images), "bench").items():
            (Path(folder) / name).write_text(text)
        return Verilated.build(
            [Path(folder) / "bench.v"],
            "bench",
            optimise=False,
            data_files=list(Path(folder).glob("*.mem")),
        )


def plan(draw, head, p, records, axons, steps, clears):
    """Input words, and the output words that must come."""
    model = Model(p, records, None)
    matrices = np.zeros((3, head.tokens, head.dim), np.uint8)
    answer = np.zeros((head.tokens, head.dim), np.uint8)
    states = initial_states(head)
    words, expected = [], []
    slot_bits = (p.slots - 1).bit_length()
    mark = 1 << (slot_bits + p.value_bits)
    for step in range(steps):
        rate = draw.choice([0, 0.1, 0.5, 0.8, 1, 1])
        sent = [a for a in range(len(axons)) if draw.random() < rate]
        draw.shuffle(sent)
        for a in sent:
            words.append(EVENT | a << 2)
            place = axons[a]
            column = place % (1 << head.column_bits)
            token = (place >> head.column_bits) % (1 << head.token_bits)
            for port in range(3):
                if place >> (head.column_bits + head.token_bits + port) & 1:
                    matrices[port, token, column] = 1
        if step in clears:
            words.append(CLEAR)
            matrices[:] = 0
            states = initial_states(head)
            model.membrane = [0] * p.slots
        else:
            mask = draw.choice([1, 2, 2, 3, 3])
            words.append(STEP | mask << 2)
            if mask & 2:  # the head's level
                attend(*matrices, head.causal, head.score_gain, head.value_gain, states, answer)
                matrices[:] = 0
                model.acc = [int(a) for a in answer.reshape(-1)]
                expected += [
                    slot | (value % (1 << p.value_bits)) << slot_bits
                    for slot, value in model.update(range(p.slots))
                ]
        expected.append(mark)
    return words, expected, mark


CASES = [
    # tokens, dim, causal, gains, kind, ranges, loaded at run time
    (1, 1, False, (0, 0), "answers", 1, False),
    (2, 3, False, (0, 1), "answers", 3, True),
    (3, 5, True, (1, 1), "spikes", 4, True),
    (5, 2, True, (1, 3), "states", 1, False),
    (8, 16, False, (1, 2), "states", 2, False),
    (16, 32, True, (2, 1), "spikes", 1, False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_core_follows_twin_and_equations(case):
    tokens, dim, causal, gains, kind, ranges, loaded = case
    for seed in range(2):
        draw = random.Random(f"{case} {seed}")
        head = AttentionParams(
            tokens=tokens, dim=dim, causal=causal, score_gain=gains[0], value_gain=gains[1], seed=5
        )
        # The core itself is that of seed 0: one build; its events differ.
        p, records, axons, images = core_of(random.Random(f"{case}"), head, kind, ranges)
        if not loaded:
            images[Memory.POINTER] = axons
        built = compiled(p, images)
        steps = 60
        words, expected, mark = plan(draw, head, p, records, axons, steps, clears=(0, 25))
        if loaded:
            words = [POINTER | a << 2 | item << 18 for a, item in enumerate(axons)] + words
        with built.new() as model:
            model.reset()
            got = model.stream(
                words, until=StopOn(mask=mark, value=mark, count=steps),
                stall_in=0.3 * seed, stall_out=0.5 * seed, seed=seed, deadline=20_000,
            ).words_out[:, 0].tolist()  # fmt: skip
        first = next((k for k, (a, b) in enumerate(zip(got, expected)) if a != b), None)  # noqa: B905
        assert got == expected, (case, seed, len(got), len(expected), first)
        assert len(expected) > steps  # something was sent


@pytest.mark.parametrize("causal", [False, True])
def test_all_spikes_of_a_small_head(causal):
    """2 tokens of 2 dimensions: each of the 4096 possible steps, in random order."""
    head = AttentionParams(tokens=2, dim=2, causal=causal, seed=3)
    p, _, axons, images = core_of(random.Random(1), head, "answers")
    order = random.Random(2).sample(range(4096), 4096)
    matrices = np.array([[pattern >> k & 1 for k in range(12)] for pattern in order])
    matrices = matrices.reshape(-1, 3, 2, 2).astype(np.uint8)
    words, expected = [], []
    answer, states = np.zeros((2, 2), np.uint8), initial_states(head)
    for query, key, value in matrices:
        for k, spikes in enumerate((query, key, value)):
            for i, d in np.argwhere(spikes):
                words.append(EVENT | axons.index(head.item(int(i), int(d), PORTS[k])) << 2)
        words.append(STEP | 2 << 2)
        attend(query, key, value, causal, 0, 0, states, answer)
        expected += [*np.flatnonzero(answer).tolist(), 1 << 2]
    with compiled(p, images | {Memory.POINTER: axons}).new() as model:
        model.reset()
        got = model.stream(words, until=StopOn(mask=4, value=4, count=4096)).words_out[:, 0]
    assert got.tolist() == expected


@pytest.mark.parametrize("causal", [False, True])
def test_sums_come_in_the_cycles_that_are_stated(causal):
    head = AttentionParams(tokens=4, dim=3, causal=causal)
    p = CoreParams(
        slots=12, axons=2, ranges=(Range(level=0, first=0, end=12),), dendrites=head, acc_bits=2
    )
    dut = dendrites_for(p, ConfigPort(8, 8))
    ready = []

    async def main(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for cycle in range(1, p.update_cycles + 5):
            ctx.set(dut.take, ctx.get(dut.ready))
            ready.extend([cycle] * ctx.get(dut.ready))
            await ctx.tick()

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 1000)
    assert ready == [head.answer_cycle(i, d) for i in range(4) for d in range(3)]
    assert ready[-1] == head.update_cycles(12)


def test_slots_are_those_of_the_head():
    with pytest.raises(ValueError, match=r"slots must be tokens \* dim = 6 with attention, not 8"):
        CoreParams(
            slots=8, axons=1, ranges=(Range(level=0, first=0, end=8),),
            dendrites=AttentionParams(tokens=2, dim=3),
        )  # fmt: skip


def test_pointer_items():
    head = AttentionParams(tokens=3, dim=5)
    assert head.item(2, 4) == 4 | 2 << 3
    assert head.item(1, 0, "value", "query") == 1 << 3 | 0b101 << 5
    assert head.items(15, 7) == {Memory.POINTER: (7, 8)}
    with pytest.raises(ValueError, match=r"column must be in 0\.\.4, not 5"):
        head.item(0, 5, "key")
    with pytest.raises(ValueError, match=r"ports must be of .*, not \['keys'\]"):
        head.item(0, 0, "keys")
