"""The network interface against a model: routes, configuration, state reads, and `idle`."""

import random

import pytest

from hdl.noc.interface import NetworkInterface, config_port, item_bits
from hdl.params.neuron import CoreParams, Range
from hdl.params.noc import ConfigOp, FlitParams, InterfaceParams, Memory
from tests.kit_hdl import clocked, getter, putter, run

FLIT = FlitParams(width=2, height=3, tag_bits=5, value_bits=6, config_bits=9)


def core_params(slots: int = 6, **options) -> CoreParams:
    sizes = {"lanes": 2, "axons": 20, "index": "lane", "synapse_words": 9} | options
    return CoreParams(
        slots=slots,
        ranges=(Range(level=0, first=0, end=slots),),
        value_bits=FLIT.value_bits,
        membrane_bits=13,
        current_bits=12,
        **sizes,
    )


def interface(entries: int = 1, images=None, **core) -> NetworkInterface:
    core = core_params(**core)
    params = InterfaceParams(flit=FLIT, entries=entries)
    return NetworkInterface(params, core, images)


def random_route(draw: random.Random, entries: int) -> list[dict[str, int]]:
    """The entries of one slot: the last one may come early, and any may be invalid."""
    route = [
        {
            "tag": draw.randrange(1 << FLIT.tag_bits),
            "rows": draw.randrange(1 << FLIT.rows_bits),
            "columns": draw.randrange(1 << FLIT.columns_bits),
            "last": draw.random() < 0.3,
            "valid": draw.random() < 0.7,
        }
        for _ in range(entries)
    ]
    if draw.random() < 0.3:  # what the mapper writes for a neuron without targets
        route = [dict.fromkeys(r, 0) for r in route]
    return route


def route_word(route: dict[str, int]) -> int:
    at = FLIT.tag_bits + FLIT.rows_bits
    return (
        route["tag"]
        | route["rows"] << FLIT.tag_bits
        | route["columns"] << at
        | route["last"] << (at + FLIT.columns_bits)
        | route["valid"] << (at + FLIT.columns_bits + 1)
    )


def flits_of(routes: list[list[dict[str, int]]], event: dict[str, int]) -> list[tuple[int, ...]]:
    """What an event must become: (body, kind, rows, columns) of each flit."""
    flits = []
    for route in routes[event["slot"]]:
        if route["valid"]:
            body = (event["value"] & 63) | route["tag"] << FLIT.value_bits
            flits.append((body, 0, route["rows"], route["columns"]))
        if route["last"]:
            break
    return flits


def plain(flit) -> tuple[int, ...]:
    return tuple(int(flit[name]) for name in ("body", "kind", "rows", "columns"))


def event_flit(axon: int, value: int) -> dict[str, int]:
    body = (value & 63) | axon << FLIT.value_bits
    return {"body": body, "kind": 0, "rows": 0, "columns": 0}


def config_flit(op: ConfigOp, chunk: int) -> dict[str, int]:
    return {"body": op | chunk << 2, "kind": 1, "rows": 0, "columns": 0}


def select(memory: Memory, address: int) -> dict[str, int]:
    return config_flit(ConfigOp.SELECT, memory | address << 3)


def item_flits(bits: int, item: int) -> list[dict[str, int]]:
    """The flits that write an item, lowest chunk first."""
    size = FLIT.chunk_bits
    count = max(-(-bits // size), 1)
    chunks = [item >> (size * k) & ((1 << size) - 1) for k in range(count)]
    ops = [ConfigOp.SHIFT] * (count - 1) + [ConfigOp.COMMIT]
    return [config_flit(op, chunk) for op, chunk in zip(ops, chunks, strict=True)]


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("entries", [1, 2, 3])
@pytest.mark.parametrize("slots", [2, 6])
def test_events_leave_by_their_routes(entries, slots, seed, stall):
    """In order, each flit once; `idle` falls with the first event and rises behind the last."""
    draw = random.Random(f"routes {entries} {slots} {seed} {stall}")
    routes = [random_route(draw, entries) for _ in range(slots)]
    images = {Memory.ROUTE: [route_word(r) for route in routes for r in route]}
    dut = interface(entries, images, slots=slots)
    events = [{"slot": draw.randrange(slots), "value": draw.randrange(-32, 32)} for _ in range(60)]
    expected = [flit for event in events for flit in flits_of(routes, event)]
    got = []
    sim = clocked(dut)
    sim.add_testbench(putter(dut.i_event, events, seed=seed, stall=stall))
    sim.add_testbench(getter(dut.o_flit, got, len(expected), seed=seed, stall=stall))

    async def watch(ctx):
        owed = silent = taken = sent = 0
        while taken < len(events) or owed or silent <= entries + 1:
            _, _, valid, ready, out_valid, out_ready, idle = await ctx.tick().sample(
                dut.i_event.valid, dut.i_event.ready, dut.o_flit.valid, dut.o_flit.ready, dut.idle
            )
            assert not (idle and (valid or owed)), (seed, taken)
            # An event that goes nowhere takes at most a cycle an entry and one in the register.
            silent = 0 if valid or owed else silent + 1
            assert idle or silent <= entries + 1, (seed, taken)
            if valid and ready:
                owed += len(flits_of(routes, events[taken]))
                taken += 1
            if out_valid and out_ready:
                owed -= 1
                sent += 1
        assert sent == len(expected), seed

    sim.add_testbench(watch)
    run(sim, 6000)
    assert [plain(flit) for flit in got] == expected, seed


@pytest.mark.parametrize("entries", [1, 2])
def test_a_flit_each_cycle(entries):
    """Latency and throughput as the docstring says."""
    routes = [
        [
            {"tag": slot, "rows": 1, "columns": 1, "last": k == entries - 1, "valid": 1}
            for k in range(entries)
        ]
        for slot in range(6)
    ]
    dut = interface(entries, {Memory.ROUTE: [route_word(r) for route in routes for r in route]})
    events = [{"slot": n % 6, "value": n} for n in range(20)]
    sent, got, flits = [], [], []
    sim = clocked(dut)
    sim.add_testbench(putter(dut.i_event, events, log=sent))
    sim.add_testbench(getter(dut.o_flit, flits, len(events) * entries, log=got))
    run(sim, 200)
    assert [cycle for cycle, _ in got] == [2 + n for n in range(len(events) * entries)]
    assert [cycle for cycle, _ in sent] == [n * entries for n in range(len(events))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "core",
    [
        {},
        {"index": "none", "synapse_words": 60, "weight_bits": 1},
        {"index": "word", "weight_bits": 16, "exponent_bits": 3},
        {"shared": {"membrane_decay": 1, "current_decay": 1, "bias": 1, "threshold": 1}},
    ],
    ids=["lane", "none", "word", "shared"],
)
def test_items_are_written_once_at_their_address(core, seed):
    """Items of fewer and of more bits than a chunk, addresses that count up, events in between."""
    draw = random.Random(f"config {core} {seed}")
    dut = interface(1, **core)
    widths = item_bits(dut.core, FLIT)
    assert min(widths.values()) < FLIT.chunk_bits < max(widths.values())
    flits, expected, events = [], [], []
    for _ in range(25):
        memory = draw.choice(list(widths))
        bits, address = widths[memory], draw.randrange(40)
        flits.append(select(memory, address))
        for k in range(draw.randrange(1, 4)):
            item = draw.getrandbits(bits) if bits else 0
            for flit in item_flits(bits, item):
                flits.append(flit)
                if draw.random() < 0.2:
                    events.append((draw.randrange(20), draw.randrange(-32, 32)))
                    flits.append(event_flit(*events[-1]))
            expected.append((int(memory), address + k, item))
    writes, got = [], []
    sim = clocked(dut)
    sim.add_testbench(putter(dut.i_flit, flits, seed=seed, stall=0.2))
    sim.add_testbench(getter(dut.o_event, got, len(events), seed=seed, stall=0.5))

    async def watch(ctx):
        port = dut.config
        while len(writes) < len(expected):
            _, _, en, *write = await ctx.tick().sample(
                port.en, port.memory, port.address, port.data
            )
            if en:
                memory, address, data = (int(w) for w in write)
                writes.append((memory, address, data & ((1 << widths[Memory(memory)]) - 1)))

    sim.add_testbench(watch)
    run(sim, 3000)
    assert writes == expected, seed
    assert [(e.axon, e.value) for e in got] == events, seed


def test_routes_are_written_like_any_memory():
    draw = random.Random("written")
    routes = [random_route(draw, 3) for _ in range(6)]
    dut = interface(3)
    words = [route_word(r) for route in routes for r in route]
    flits = [select(Memory.ROUTE, 0)]
    flits += [flit for word in words for flit in item_flits(FLIT.route_bits, word)]
    events = [{"slot": n, "value": -n} for n in range(6)]
    expected = [flit for event in events for flit in flits_of(routes, event)]
    assert expected
    got = []
    sim = clocked(dut)

    async def main(ctx):
        await putter(dut.i_flit, flits, seed=1, stall=0.2)(ctx)
        await putter(dut.i_event, events)(ctx)

    sim.add_testbench(main)
    sim.add_testbench(getter(dut.o_flit, got, len(expected), seed=2, stall=0.4))
    run(sim, 1000)
    assert [plain(flit) for flit in got] == expected


def test_the_port_fits_the_widest_item():
    core = core_params()
    port = config_port(core, FLIT).create()
    assert len(port.data) == max(item_bits(core, FLIT).values())
    assert len(port.address) == FLIT.chunk_bits - 3
