"""Parameters and word layouts of the network: flits, routers, network interfaces, the mesh.

A flit is one packet. It names its destinations as a set of columns times a set of rows, so that
one flit reaches many tiles: it travels along its row (X first), leaves a copy at each named
column, and each copy travels along that column (Y) and leaves a copy at each named row.
Row 0 of the set is the host, which hangs below tile (0, 0); tile row y is bit y + 1.
X before Y with single-flit packets makes the channel dependences acyclic: no deadlock
(Dally & Seitz 1987), also for multicast, because the local port always drains.
"""

from dataclasses import dataclass
from enum import IntEnum

from hdl.params.dendrites import Memory
from hdl.params.neuron import bits_for

__all__ = [
    "ConfigOp",
    "FIFO_MOST",
    "FlitParams",
    "InterfaceParams",
    "Memory",
    "MeshParams",
    "RouterParams",
    "check_fifo",
]


#: Deepest queue in front of a core.
FIFO_MOST = 512


class ConfigOp(IntEnum):
    """First 2 bits of the body of a configuration flit."""

    SELECT = 0  #: body: memory (3 bits), then address
    SHIFT = 1  #: body: a chunk, lowest chunk first
    COMMIT = 2  #: body: the last chunk; writes the item, address += 1
    READ = 3  #: body: number of items, from the address on; replies with all their chunks,
    #: lowest first. One READ a tile, then a STEP, before the next configuration of that tile:
    #: a reply that waits for the network must not hold up what the network delivers.


@dataclass(frozen=True, kw_only=True)
class FlitParams:
    """Layout of a flit, lowest bits first: body, kind (1 = configuration), rows, columns.

    The body of an event is its value (`value_bits`, signed), then its tag (`tag_bits`): the
    axon at a core, the output number at the host. A configuration body is a ConfigOp, then data.
    """

    width: int  #: tiles in a row of the mesh
    height: int
    tag_bits: int
    value_bits: int = 0
    config_bits: int = 18  #: least data bits of a configuration flit, the ConfigOp not counted

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, 32),
            ("height", 1, 32),
            ("tag_bits", 1, 24),
            ("value_bits", 0, 32),
            ("config_bits", 8, 32),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{name} must be in {low}..{high}, not {value}")

    @property
    def body_bits(self) -> int:
        return max(self.tag_bits + self.value_bits, 2 + self.config_bits)

    @property
    def chunk_bits(self) -> int:
        """Data bits of a configuration flit."""
        return self.body_bits - 2

    @property
    def rows_bits(self) -> int:
        return self.height + 1

    @property
    def columns_bits(self) -> int:
        return self.width

    @property
    def flit_bits(self) -> int:
        return self.body_bits + 1 + self.rows_bits + self.columns_bits

    @property
    def route_bits(self) -> int:
        """A route entry, lowest first: tag, rows, columns, last, valid."""
        return self.tag_bits + self.rows_bits + self.columns_bits + 2


@dataclass(frozen=True, kw_only=True)
class RouterParams:
    """The router of tile (x, y)."""

    flit: FlitParams
    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.x < self.flit.width and 0 <= self.y < self.flit.height):
            raise ValueError(
                f"tile ({self.x}, {self.y}) lies outside the "
                f"{self.flit.width} x {self.flit.height} mesh"
            )


@dataclass(frozen=True, kw_only=True)
class InterfaceParams:
    """The network interface of a tile: its route table has `entries` routes for each slot."""

    flit: FlitParams
    entries: int = 1


def check_fifo(depth: int) -> None:
    """ValueError unless `depth` is 0 or a power of two up to FIFO_MOST."""
    if (
        not isinstance(depth, int)
        or isinstance(depth, bool)
        or not 0 <= depth <= FIFO_MOST
        or depth & (depth - 1)
    ):
        raise ValueError(f"fifo must be 0 or a power of two up to {FIFO_MOST}, not {depth!r}")


@dataclass(frozen=True, kw_only=True)
class MeshParams:
    """A mesh: one core's parameters and interface per tile, row by row (y * width + x).

    None is a tile without a core: only its router is built.
    """

    flit: FlitParams
    levels: int
    cores: tuple  # CoreParams | None, row-major
    entries: tuple[int, ...]  # routes per slot, for each tile
    fifo: int = 0  #: events queued in front of each core, 0 or a power of two up to FIFO_MOST

    def __post_init__(self) -> None:
        check_fifo(self.fifo)
        tiles = self.flit.width * self.flit.height
        if len(self.cores) != tiles or len(self.entries) != tiles:
            raise ValueError(f"a {self.flit.width} x {self.flit.height} mesh has {tiles} tiles")
        for tile, core in enumerate(self.cores):
            if core is None:
                continue
            for name, value, expected in (
                ("value_bits", core.value_bits, self.flit.value_bits),
                ("levels", core.levels, self.levels),
            ):
                if value != expected:
                    raise ValueError(f"{name} of tile {tile} must be {expected}, not {value}")
            items = max(
                *(count for count, _ in core.items.values()),
                core.state_items,
                core.slots * self.entries[tile],
            )
            if bits_for(items) > self.flit.chunk_bits - 3:
                raise ValueError(
                    f"config_bits must be at least {bits_for(items) + 3} to address {items} items "
                    f"of tile {tile}, not {self.flit.config_bits}"
                )
