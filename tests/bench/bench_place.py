"""Placement and multicast of a sheet's traffic: hops and seconds of each start and of annealing,
links of an event sent as unicast, tree and products (T4 of the targets of mapping at scale).

The partition is rectangular blocks of the sheet, numbered along a recursive bisection, as METIS
numbers its parts. With --far 0 there is no uniform traffic, which no placement shortens.
Run: python -m tests.bench.bench_place [--cores 1024] [--far 0.02]
"""

import argparse
import time

import numpy as np

from mapping.place import mean_hops, place
from mapping.starts import hilbert
from mapping.traffic import core_traffic, route_all
from tests.bench import families


def blocks(width: int, side: int) -> np.ndarray:
    """Core of each neuron of a width x width sheet cut into side x side blocks."""
    at = np.arange(width) * side // width
    x, y = np.tile(at, width), np.repeat(at, width)
    code = np.zeros(width**2, np.int64)
    for bit in range(int(side - 1).bit_length()):
        code |= (x >> bit & 1) << 2 * bit | (y >> bit & 1) << (2 * bit + 1)
    return np.unique(code, return_inverse=True)[1].astype(np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=1024, help="a square number (1024)")
    parser.add_argument("--neurons", type=int, default=100, help="of a core, a square number (100)")
    parser.add_argument("--far", type=float, default=families.FAR, help="share of far synapses")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    families.FAR = args.far
    side, width = int(args.cores**0.5), int((args.cores * args.neurons) ** 0.5)
    graph = families.sheet(width**2, 50 * width**2, args.seed)
    core = blocks(width, side)
    flow = core_traffic(graph, core, side**2)
    place(flow[:10, :10], 3, 3, args.seed, slack=0.01)  # compiles
    rng = np.random.default_rng(args.seed)
    print(f"{graph.neurons:,} neurons, {graph.synapses:,} synapses, {side**2} cores")
    print(f"{'placement':<28}{'hops':>8}{'s':>8}{'heaviest link':>16}")
    ways = {
        "random": lambda: rng.permutation(side**2),
        "raster": lambda: np.arange(side**2),
        "Hilbert": lambda: hilbert(side, side),
        "spectral": lambda: place(flow, side, side, args.seed, moves=0),
        "annealed": lambda: place(flow, side, side, args.seed),
        "annealed, 1 % slack": lambda: place(flow, side, side, args.seed, slack=0.01),
    }
    for name, way in ways.items():
        begin = time.perf_counter()
        tile = way()
        seconds = time.perf_counter() - begin
        routes = route_all(graph, core, tile, side, side)
        hops = mean_hops(flow, tile, side)
        print(f"{name:<28}{hops:8.2f}{seconds:8.2f}{routes.flits.heaviest[1]:16,.0f}")
    begin = time.perf_counter()
    routes = route_all(graph, core, tile, side, side)
    seconds = time.perf_counter() - begin
    print(f"\nroutes of all sources: {seconds:.2f} s; cores per event {routes.reached.mean():.2f}")
    for name in ("unicast", "tree", "flits"):
        links = getattr(routes, name)
        print(f"{name:<10}{links.total / routes.events:8.2f} links an event, "
              f"heaviest {links.heaviest[0]} {links.heaviest[1]:,.0f} a step")  # fmt: skip
    if routes.axons is not None:
        entries, cores = routes.entries, routes.reached.sum() / routes.entries.sum()
        print(f"route entries a source: mean {entries.mean():.2f}, most {entries.max()}; "
              f"{cores:.2f} cores an entry")  # fmt: skip
        print(
            f"axons of a core: mean {routes.axons.mean():.0f}, most {routes.axons.max()}; "
            f"sources it needs: mean {routes.fan_in.mean():.0f}, most {routes.fan_in.max()}"
        )


if __name__ == "__main__":
    main()
