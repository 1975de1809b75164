"""For tests of the network: the law of the routes in Python, and a mesh that has only routers."""

import random
from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.noc.router import Router, flit_layout
from hdl.params.noc import FlitParams, RouterParams

__all__ = ["HOST", "RouterMesh", "destinations", "law", "random_flit", "side_of"]

HOST = "host"
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
STEP = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}


def destinations(flit: dict[str, int], width: int, height: int) -> set[Any]:
    """The tiles, and the host, that a flit names."""
    columns = [x for x in range(width) if flit["columns"] >> x & 1]
    found: set[Any] = {
        (x, y) for x in columns for y in range(height) if flit["rows"] >> (y + 1) & 1
    }
    return found | ({HOST} if 0 in columns and flit["rows"] & 1 else set())


def law(flit: dict[str, int], x: int, y: int, side: str, width: int, height: int) -> set[str]:
    """The outputs of router (x, y) for a flit that came in at `side`.

    A copy travels to each named column along the row, whatever the rows; in the column a copy
    travels to each named row. The host is the row below row 0 of column 0, nobody elsewhere.
    """
    injected = side == "local" or (x, y, side) == (0, 0, "south")
    ways = {"north", "south", "east", "west"} if injected else {OPPOSITE[side]}
    if side in ("east", "west"):
        ways |= {"north", "south"}
    ways.add("local")
    wanted = {
        "east" if n > x else "west" for n in range(width) if flit["columns"] >> n & 1 and n != x
    }
    if flit["columns"] >> x & 1 or (side in ("north", "south") and not injected):
        for row in (n - 1 for n in range(height + 1) if flit["rows"] >> n & 1):
            if row >= 0 or x == 0:
                wanted.add("local" if row == y else "north" if row > y else "south")
    return wanted & ways


def side_of(x: int, y: int, width: int, height: int) -> list[str]:
    """The ports of router (x, y) that are connected in the mesh."""
    sides = ["local"]
    for side, (dx, dy) in STEP.items():
        if (0 <= x + dx < width and 0 <= y + dy < height) or (x, y, side) == (0, 0, "south"):
            sides.append(side)
    return sides


def random_flit(
    draw: random.Random, params: FlitParams, body: int, *, unicast: float = 0.5, odd: bool = False
) -> dict[str, int]:
    """A flit for one random tile (or the host), or for any product of columns and rows.

    With `odd` also products that reach nobody in some column: such copies are dropped on the way.
    """
    while True:
        if draw.random() < unicast:
            rows = 1 << draw.randrange(params.rows_bits)
            columns = 1 if rows == 1 else 1 << draw.randrange(params.columns_bits)
        else:
            rows = draw.randrange(1 << params.rows_bits)
            columns = draw.randrange(1 << params.columns_bits)
        if odd or rows > 1 or (rows == 1 and columns == 1):
            return {"body": body, "kind": draw.randrange(2), "rows": rows, "columns": columns}


class RouterMesh(wiring.Component):
    """Routers alone, linked to a mesh.

    Parameters
    ----------
    flit : size of the mesh and layout of the flits.

    Members
    -------
    i, o : flits from and to each tile, row by row.
    i_host, o_host : flits from and to the host.
    idle : all routers are idle.
    """

    def __init__(self, flit: FlitParams) -> None:
        self.flit = flit
        link = stream.Signature(flit_layout(flit))
        tiles = flit.width * flit.height
        super().__init__(
            {
                "i": In(link).array(tiles),
                "o": Out(link).array(tiles),
                "i_host": In(link),
                "o_host": Out(link),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width, height = self.flit.width, self.flit.height
        routers = {}
        for y in range(height):
            for x in range(width):
                router = Router(RouterParams(flit=self.flit, x=x, y=y))
                routers[x, y] = m.submodules[f"router_{x}_{y}"] = router
                wiring.connect(m, wiring.flipped(self.i[y * width + x]), router.i_local)
                wiring.connect(m, router.o_local, wiring.flipped(self.o[y * width + x]))
        for (x, y), router in routers.items():
            for side, (dx, dy) in STEP.items():
                other = routers.get((x + dx, y + dy))
                if other:
                    target = getattr(other, f"i_{OPPOSITE[side]}")
                    wiring.connect(m, getattr(router, f"o_{side}"), target)
        wiring.connect(m, wiring.flipped(self.i_host), routers[0, 0].i_south)
        wiring.connect(m, routers[0, 0].o_south, wiring.flipped(self.o_host))
        m.d.comb += self.idle.eq(Cat(router.idle for router in routers.values()).all())
        return m
