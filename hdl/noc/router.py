"""The router of a tile: dimension order, multicast by a product of columns and rows."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.params.noc import FlitParams, RouterParams
from hdl.stream import Arbiter, Fork

__all__ = ["Router", "flit_layout"]


def flit_layout(params: FlitParams) -> data.StructLayout:
    """A flit, lowest bits first: body, kind, rows, columns."""
    return data.StructLayout(
        {
            "body": params.body_bits,
            "kind": 1,
            "rows": params.rows_bits,
            "columns": params.columns_bits,
        }
    )


@dataclass
class _Store:
    """A fork in the router, and where its copies go: output name to index of the taker."""

    fork: Fork
    takers: dict[str, int]


class Router(wiring.Component):
    """Five ports; a flit goes along its row first, then along its columns.

    Two stages, each with its own storage. The X stage takes flits from east, west and local (at
    tile (0, 0) also from the host, south) and hands copies to the east, to the west and to the
    turn. The turn holds one flit of this column; the Y stage takes flits from the turn, north and
    south and hands copies to the north, to the south (at (0, 0) that is the host) and to local.
    So each output has two or three sources, and no flit can make an illegal turn. Each copy moves
    on by itself as soon as its link is free.

    Latency 1 cycle a link, and 1 each for the local input, the turn and the local output: a flit
    that crosses n links is offered at `o_local` n + 3 cycles after it was taken at `i_local`.
    Throughput 1 flit a cycle and link; flits that turn at one tile share 1 flit a cycle. A stalled
    output stalls the flits that need it and those behind them, nothing else. `ready` of the links
    comes from registers, `valid` and payload from registers through one arbiter and multiplexer.
    Each output serves its sources in turn: a copy waits for at most two others.
    Flits between two tiles stay in order. Copies for an empty set of rows or columns are dropped.

    Payloads carry what is still needed behind the port: rows and columns are 0 at `o_local`,
    columns and rows that lie behind are 0 on the way east and north, and all columns are 0 on the
    way south, except in column 0, where the host must see the whole flit.

    Parameters
    ----------
    params : place in the mesh and layout of a flit. Links to tiles outside the mesh don't exist:
        their ports must stay unconnected.
    local_places : flits stored at the inputs from tile and host and at the output to the tile.
        With 2 no path goes through the router from `ready` to `ready`; 1 saves about 70 LUTs, but
        then `i_local.ready` depends on the neighbours' `ready`, and on `o_local.ready` the links.

    Members
    -------
    i_north, i_east, i_south, i_west, i_local : flits from the neighbours (the port's side is where
        they come from) and from the tile; `i_south` of tile (0, 0) is the host's input.
    o_north, o_east, o_south, o_west, o_local : flits to the neighbours, the host and the tile.
    idle : no flit is stored in here.
    """

    def __init__(self, params: RouterParams, *, local_places: int = 2) -> None:
        if not isinstance(params, RouterParams):
            raise TypeError(f"params must be RouterParams, not {params!r}")
        self.params = params
        self.local_places = local_places
        link = stream.Signature(flit_layout(params.flit))
        sides = ("north", "east", "south", "west", "local")
        super().__init__(
            {f"i_{side}": In(link) for side in sides}
            | {f"o_{side}": Out(link) for side in sides}
            | {"idle": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        params = self.params
        layout = flit_layout(params.flit)
        width, height, x, y = params.flit.width, params.flit.height, params.x, params.y
        lowest = 0 if x == 0 else 1  # the first row bit that means something here
        full = (range(height + 1), range(width))
        # What each route needs to know: outputs, and the columns or rows that lie that way.
        columns = {"west": range(x), "east": range(x + 1, width), "turn": range(x, x + 1)}
        rows = {
            "south": range(lowest, y + 1),
            "north": range(y + 2, height + 1),
            "local": range(y + 1, y + 2),
        }

        def strip(flit, kept_rows, kept_columns):
            """The flit with the other rows and columns 0."""
            return Cat(
                flit.body,
                flit.kind,
                *(bit if n in kept_rows else Const(0, 1) for n, bit in enumerate(flit.rows)),
                *(bit if n in kept_columns else Const(0, 1) for n, bit in enumerate(flit.columns)),
            )

        def store(name, source, axis, outputs, kept, places):
            """A fork fed by `source`; its flits go to those `outputs` that name anything."""
            ways = [out for out in outputs if len(axis[out])]
            m.submodules[name] = fork = Fork(layout, takers=len(ways), places=places)
            field = source.payload.columns if axis is columns else source.payload.rows
            m.d.comb += [
                fork.i.valid.eq(source.valid),
                source.ready.eq(fork.i.ready),
                fork.i.payload.eq(strip(source.payload, *kept)),
                fork.route.eq(Cat(Cat(field[n] for n in axis[out]).any() for out in ways)),
            ]
            return _Store(fork, {out: index for index, out in enumerate(ways)})

        def merge(name, target, stores, kept):
            """An arbiter from all stores that have copies for `name` to `target`."""
            stores = [item for item in stores if name in item.takers]
            if not stores:
                return
            m.submodules[f"to_{name}"] = arbiter = Arbiter(layout, sources=len(stores))
            for index, item in enumerate(stores):
                taker = item.takers[name]
                m.d.comb += [
                    arbiter.words[index].eq(item.fork.word),
                    arbiter.request[index].eq(item.fork.request[taker]),
                    item.fork.free[taker].eq(arbiter.free[index]),
                ]
            m.d.comb += [
                target.valid.eq(arbiter.o.valid),
                target.payload.eq(strip(arbiter.o.payload, *kept)),
                arbiter.o.ready.eq(target.ready),
            ]

        down = full if x == 0 else (rows["south"], ())
        across = [
            store("local", self.i_local, columns, ("west", "east", "turn"), full, self.local_places)
        ]
        if x > 0:
            across.append(store("west", self.i_west, columns, ("east", "turn"), full, 2))
        if x < width - 1:
            across.append(store("east", self.i_east, columns, ("west", "turn"), full, 2))
        if (x, y) == (0, 0):
            across.append(
                store("host", self.i_south, columns, ("east", "turn"), full, self.local_places)
            )
        merge("east", self.o_east, across, (full[0], columns["east"]))
        merge("west", self.o_west, across, full)

        turn = stream.Signature(layout).create(path=("turn",))
        merge("turn", turn, across, full if x == 0 else (full[0], ()))
        kept = full if x == 0 else (range(lowest, height + 1), ())
        along = [store("turn", turn, rows, ("north", "south", "local"), kept, 1)]
        if y < height - 1:
            along.append(store("north", self.i_north, rows, ("south", "local"), kept, 2))
        if y > 0:
            ahead = (range(y + 1, height + 1), ())
            along.append(store("south", self.i_south, rows, ("north", "local"), ahead, 2))
        merge("north", self.o_north, along, (rows["north"], ()))
        merge("south", self.o_south, along, down)

        m.submodules.out_local = out = Fork(layout, takers=1, places=self.local_places)
        merge("local", out.i, along, ((), ()))
        m.d.comb += [
            out.route.eq(1),
            out.free.eq(self.o_local.ready),
            self.o_local.valid.eq(out.request),
            self.o_local.payload.eq(out.word),
        ]
        forks = [item.fork for item in (*across, *along)]
        m.d.comb += self.idle.eq(Cat(fork.idle for fork in (*forks, out)).all())
        return m
