# amaranth: UnusedElaboratable=no
"""The router against the law of the routes; meshes of routers against their destinations."""

import random
import re
from collections import defaultdict

import pytest
from amaranth.back import verilog

from hdl.noc.router import Router
from hdl.params.noc import FlitParams, RouterParams
from tests.kit_hdl import clocked, getter, putter, run
from tests.noc.mesh_kit import HOST, RouterMesh, destinations, law, random_flit, side_of

TILES = [
    (width, height, x, y)
    for width, height in ((1, 1), (2, 1), (1, 3), (3, 2), (4, 4))
    for y in range(height)
    for x in range(width)
]


def flit_params(width: int, height: int) -> FlitParams:
    return FlitParams(width=width, height=height, tag_bits=16, value_bits=0, config_bits=14)


def needed(flit, side, x, y):
    """The parts of a flit that must still be there behind output `side`."""
    rows, columns = flit["rows"], flit["columns"]
    if side == "east":
        columns &= -1 << (x + 1)
    elif side == "north":
        rows, columns = rows & (-1 << (y + 2)), 0
    elif side == "south" and x != 0:
        rows, columns = rows & ((2 << y) - 2), 0
    elif side == "local":
        rows = columns = 0
    return {"body": flit["body"], "kind": flit["kind"], "rows": rows, "columns": columns}


def plain(payload):
    return {name: int(payload[name]) for name in ("body", "kind", "rows", "columns")}


def test_wrong_params_are_named():
    with pytest.raises(TypeError, match=r"params must be RouterParams, not 3"):
        Router(3)
    with pytest.raises(ValueError, match=re.escape("tile (2, 0) lies outside the 2 x 1 mesh")):
        RouterParams(flit=flit_params(2, 1), x=2, y=0)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(("width", "height", "x", "y"), TILES)
def test_router_follows_the_law(width, height, x, y, odd, seed):
    """Each output gets, from each input, exactly the flits that the law sends there, in order;
    `idle` is low in exactly the cycles in which a copy is still to be taken (or to be dropped)."""
    draw = random.Random(f"law {width} {height} {x} {y} {seed}")
    params = flit_params(width, height)
    dut = Router(RouterParams(flit=params, x=x, y=y))
    sides = side_of(x, y, width, height)
    sim = clocked(dut)
    count, want, got = 40, defaultdict(list), {}
    for number, side in enumerate(sides):
        flits = [random_flit(draw, params, number << 8 | k, odd=odd) for k in range(count)]
        for flit in flits:
            for out in law(flit, x, y, side, width, height):
                want[out, number].append(needed(flit, out, x, y))
        stall = draw.choice([0.0, 0.3, 0.7])
        sim.add_testbench(putter(getattr(dut, f"i_{side}"), flits, seed=draw.random(), stall=stall))
    for side in sides:
        total = sum(len(flits) for (out, _), flits in want.items() if out == side)
        stall = draw.choice([0.0, 0.3, 0.7])
        got[side] = []
        stream = getattr(dut, f"o_{side}")
        sim.add_testbench(getter(stream, got[side], total, seed=draw.random(), stall=stall))

    async def watch_idle(ctx):
        ports = [getattr(dut, f"{way}_{side}") for side in sides for way in "io"]
        names = [(side, way) for side in sides for way in "io"]
        watched = [s for p in ports for s in (p.payload, p.valid, p.ready)]
        inside = 0
        while True:
            _, _, idle, *values = await ctx.tick().sample(dut.idle, *watched)
            exact = idle == 0 if inside else idle == 1 or odd
            assert exact, f"idle is {idle} with {inside} copies, seed {seed}"
            for k, (side, way) in enumerate(names):
                payload, valid, ready = values[3 * k : 3 * k + 3]
                if valid and ready:
                    copies = law(plain(payload), x, y, side, width, height)
                    inside += len(copies) if way == "i" else -1

    sim.add_testbench(watch_idle, background=True)
    run(sim, 20 * count * len(sides) + 100)
    for side in sides:
        by_input = defaultdict(list)
        for payload in got[side]:
            flit = plain(payload)
            by_input[flit["body"] >> 8].append(flit)
        for number, source in enumerate(sides):
            note = f"{source} to {side} of ({x}, {y}), seed {seed}"
            assert by_input[number] == want[side, number], note


def send_through_mesh(width, height, seed, *, count, stalls, unicast=0.5, hold=0, cycles=None):
    """Random traffic from every tile and the host; checks that each flit reaches each of its
    destinations once, in order for each pair, and that `idle` tells when nothing is inside."""
    draw = random.Random(f"mesh {width} {height} {seed}")
    params = flit_params(width, height)
    dut = RouterMesh(params)
    sim = clocked(dut)
    places = [(x, y) for y in range(height) for x in range(width)] + [HOST]
    inputs, outputs = [*dut.i, dut.i_host], [*dut.o, dut.o_host]
    want, got = defaultdict(list), {place: [] for place in places}
    for number, stream in enumerate(inputs):
        flits = [random_flit(draw, params, number << 10 | k, unicast=unicast) for k in range(count)]
        for flit in flits:
            for place in destinations(flit, width, height):
                want[place, number].append(flit)
        sim.add_testbench(putter(stream, flits, seed=draw.random(), stall=draw.choice(stalls)))

    for place, stream in zip(places, outputs, strict=True):
        total = sum(len(want[place, number]) for number in range(len(inputs)))
        options = {"seed": draw.random(), "stall": draw.choice(stalls)}

        async def sink(ctx, stream=stream, place=place, total=total, options=options):
            await ctx.tick().repeat(max(hold, 1))
            await getter(stream, got[place], total, **options)(ctx)

        sim.add_testbench(sink)

    async def watch_idle(ctx):
        watched = [s for p in inputs for s in (p.payload, p.valid, p.ready)]
        watched += [s for p in outputs for s in (p.valid, p.ready)]
        inside = 0
        while True:
            _, _, idle, *values = await ctx.tick().sample(dut.idle, *watched)
            assert bool(idle) == (inside == 0), f"idle is {idle} with {inside} copies, seed {seed}"
            for k in range(len(inputs)):
                payload, valid, ready = values[3 * k : 3 * k + 3]
                if valid and ready:
                    inside += len(destinations(plain(payload), width, height))
            rest = values[3 * len(inputs) :]
            inside -= sum(
                1 for valid, ready in zip(rest[::2], rest[1::2], strict=True) if valid and ready
            )

    sim.add_testbench(watch_idle, background=True)
    run(sim, cycles or 100 * count + hold + 500)
    for place in places:
        by_source = defaultdict(list)
        for payload in got[place]:
            flit = plain(payload)
            by_source[flit["body"] >> 10].append(flit)
        for number in range(len(inputs)):
            expected = want[place, number]
            if place != HOST:
                expected = [{**flit, "rows": 0, "columns": 0} for flit in expected]
            note = f"{places[number]} to {place}, seed {seed}"
            assert by_source[number] == expected, note


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 2), (3, 2), (3, 3), (4, 4)])
def test_mesh_delivers_each_flit_once_to_each_destination(width, height, seed):
    send_through_mesh(width, height, seed, count=25, stalls=[0.0, 0.3, 0.6])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mesh_survives_stalled_sinks(seed):
    """All sinks closed until the mesh is full, then slow ones: everything still arrives."""
    stalls = [0.0, 0.8, 0.95]
    send_through_mesh(3, 3, seed, count=20, stalls=stalls, unicast=0.2, hold=200, cycles=20_000)


@pytest.mark.parametrize(
    ("flit", "hops"),
    [
        ({"rows": 0b0010, "columns": 0b100}, "2 links east, turn, local"),
        ({"rows": 0b1000, "columns": 0b001}, "turn, 2 links north, local"),
    ],
)
def test_a_straight_path_carries_a_flit_a_cycle(flit, hops):
    """Injection, 2 links, turn, output register: 5 cycles, then 1 flit a cycle."""
    dut = RouterMesh(flit_params(3, 3))
    sim = clocked(dut)
    target = dut.o[2] if flit["columns"] == 4 else dut.o[6]
    sent, arrived, got = [], [], []
    flits = [{"body": k, "kind": 0, **flit} for k in range(50)]
    sim.add_testbench(putter(dut.i[0], flits, log=sent))
    sim.add_testbench(getter(target, got, 50, log=arrived))
    run(sim, 200)
    cycles_of = [cycle for cycle, _ in arrived]
    assert [cycle for cycle, _ in sent] == list(range(50)), hops
    assert cycles_of == list(range(5, 55)), hops


def test_every_tile_of_a_mesh_converts_to_verilog():
    params = flit_params(3, 2)
    for x, y in ((0, 0), (1, 0), (2, 1)):
        text = verilog.convert(Router(RouterParams(flit=params, x=x, y=y)), name="router")
        assert "module router(" in text
        assert "assert" not in text
