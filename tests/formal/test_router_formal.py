"""The whole router, in the first cycles after power-up: each flit goes where it must, once."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Signal

from hdl.noc.router import Router
from hdl.params.noc import FlitParams, RouterParams
from tests.formal.kit_formal import prove
from tests.noc.mesh_kit import side_of

pytestmark = pytest.mark.formal

MARK = 0x2A5


class RouterSpec(Elaboratable):
    """One flit is marked; all others, and all stalls, are arbitrary.

    Asserted: the marked flit leaves by exactly the outputs of the routing law, by each once;
    `idle` is low until then; a stalled output keeps its flit. (That it does leave follows from the
    proofs of the parts: a fork that is served moves on, an arbiter serves everybody.)
    """

    def __init__(self, router: Router) -> None:
        self.router = router
        params = router.params
        self.sides = side_of(params.x, params.y, params.flit.width, params.flit.height)
        self.payloads = {s: Signal(router.i_local.p.shape(), name=f"flit_{s}") for s in self.sides}
        self.valid = Signal(len(self.sides))
        self.ready = Signal(len(self.sides))
        self.ports = [self.valid, self.ready, *(p.as_value() for p in self.payloads.values())]

    def law(self, side, flit):
        """The outputs for a flit from `side`, by name; the brief of the network, word for word."""
        x, y = self.router.params.x, self.router.params.y
        injected = side == "local" or (x, y, side) == (0, 0, "south")
        here = Const(1) if side in ("north", "south") and not injected else flit.columns[x]
        rows = flit.rows if x == 0 else flit.rows & ~1
        no = Const(0)
        return {
            "east": flit.columns[x + 1 :].any() if injected or side == "west" else no,
            "west": flit.columns[:x].any() if injected or side == "east" else no,
            "north": no if side == "north" else here & rows[y + 2 :].any(),
            "south": no if side == "south" and not injected else here & rows[: y + 1].any(),
            "local": here & rows[y + 1],
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.router = router = self.router
        marks, owed = Signal(len(self.sides)), Signal(len(self.sides))
        seen, started = Signal(), Signal()
        m.d.sync += started.eq(1)
        due = {side: [] for side in self.sides}
        leaves = Signal(len(self.sides))
        for n, side in enumerate(self.sides):
            i, o = getattr(router, f"i_{side}"), getattr(router, f"o_{side}")
            flit = self.payloads[side]
            m.d.comb += [
                i.payload.eq(flit),
                i.valid.eq(self.valid[n]),
                o.ready.eq(self.ready[n]),
                marks[n].eq(i.valid & i.ready & (flit.body == MARK)),
                leaves[n].eq(o.valid & o.ready & (o.payload.body == MARK)),
            ]
            for out, wanted in self.law(side, flit).items():
                if out in due:
                    due[out].append(marks[n] & wanted)
            old = Signal(1 + flit.as_value().shape().width, name=f"old_{side}")
            m.d.sync += old.eq(Cat(o.payload.as_value(), o.valid & ~o.ready))
            with m.If(started & old[-1]):
                m.d.comb += Assert(o.valid & (o.payload.as_value() == old[:-1]))
        m.d.comb += [
            Assume((marks & (marks - 1)[: len(self.sides)]) == 0),
            Assume(~(seen & marks.any())),
            Assert((leaves & ~owed) == 0),
            Assert(~(router.idle & owed.any())),
        ]
        m.d.sync += [
            seen.eq(seen | marks.any()),
            owed.eq((owed & ~leaves) | Cat(Cat(due[side]).any() for side in self.sides)),
        ]
        return m


class LosesTurn(Router):
    """Drops a flit at the turn when the tile is busy."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        arbiter, fork = m.submodules.to_turn, m.submodules.turn
        m.d.comb += arbiter.o.ready.eq(fork.i.ready | arbiter.request.all())
        return m


class WrongWay(Router):
    """Sends flits from the east on to the west although they end here."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += m.submodules.east.route.eq(-1)
        return m


class LooksIdle(Router):
    """Forgets the turn in `idle`."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        inputs = (m.submodules.local, m.submodules.east, m.submodules.out_local)
        m.d.comb += self.idle.eq(Cat(fork.idle for fork in inputs).all())
        return m


# Mesh, tile.
CASES = [(3, 1, 1, 0), (2, 2, 0, 0), (3, 3, 1, 1)]


def spec_of(router, case, **options):
    width, height, x, y = case
    flit = FlitParams(width=width, height=height, tag_bits=1, config_bits=8)
    return RouterSpec(router(RouterParams(flit=flit, x=x, y=y), **options))


@pytest.mark.parametrize("local_places", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_router_delivers_each_branch_once(case, local_places):
    spec = spec_of(Router, case, local_places=local_places)
    proven, log = prove(spec, steps=8, bounded=True)
    assert proven, log


@pytest.mark.parametrize("bug", [LosesTurn, WrongWay, LooksIdle])
def test_a_broken_router_is_found(bug):
    proven, _ = prove(spec_of(bug, CASES[1]), steps=8, bounded=True)
    assert not proven
