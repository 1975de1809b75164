"""How independent the lanes of a shared LFSR are: the table of hdl/params/sc/shared.py.

For each pair of lanes and each pair of thresholds 1 .. 2**width - 1, over a period: the error of
the AND of the two comparators' streams as a product, and the streams' SCC.

Example: python tests/bench/lanes.py --width 8 --lanes 2 4 8
"""

import argparse
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from hdl.params.sc.lfsr import LfsrParams, jump
from hdl.params.sc.shared import SharedLfsrParams
from sim.golden.sc.lfsr import LfsrModel
from sim.golden.sc.scc import scc
from sim.golden.sc.shared import SharedLfsrModel

__all__ = ["pair_figures", "lane_figures"]


def pair_figures(x: np.ndarray, y: np.ndarray, width: int) -> tuple[float, float]:
    """RMS error of the AND and mean |SCC| over all thresholds of two sequences of numbers."""
    top = 1 << width
    grid = np.zeros((top, top), dtype=np.int64)
    np.add.at(grid, (x, y), 1)
    n11 = grid.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    ones_x = np.bincount(x, minlength=top).cumsum()[:-1, None]
    ones_y = np.bincount(y, minlength=top).cumsum()[None, :-1]
    error = n11 / len(x) - ones_x / len(x) * (ones_y / len(x))
    meter = scc(n11, ones_x - n11, ones_y - n11, len(x) - ones_x - ones_y + n11)
    return float(np.sqrt(np.mean(error**2))), float(np.abs(meter).mean())


def lane_figures(params: SharedLfsrParams) -> dict[str, float]:
    """Over all pairs of lanes: least `overlap`, worst and mean RMS, worst and mean |SCC|."""
    values = list(SharedLfsrModel(params).run(params.period).values())
    pairs = list(combinations(range(params.lanes), 2))
    figures = [pair_figures(values[a], values[b], params.width) for a, b in pairs]
    rms, correlation = np.array(figures).T
    return {
        "overlap": min(params.overlap(a, b) for a, b in pairs),
        "rms_worst": rms.max(),
        "rms_mean": rms.mean(),
        "scc_worst": correlation.max(),
        "scc_mean": correlation.mean(),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=8, help="bits (8)")
    parser.add_argument("--lanes", type=int, nargs="+", default=[2, 4, 8], help="(2 4 8)")
    args = parser.parse_args()
    print("order   lanes  overlap  RMS worst   mean   |SCC| worst   mean")
    for order in ("rotate", "spread"):
        for lanes in args.lanes:
            if order == "rotate" and lanes > args.width:
                continue
            row = lane_figures(SharedLfsrParams(width=args.width, lanes=lanes, order=order))
            print(
                f"{order:7} {lanes:5} {row['overlap']:8}  {row['rms_worst']:9.4f}  "
                f"{row['rms_mean']:.4f}  {row['scc_worst']:11.3f}  {row['scc_mean']:.3f}"
            )
    first = LfsrParams(width=args.width)
    x = LfsrModel(first).run(first.period)["value"]
    figures = []
    for start in range(first.period // 4, 3 * first.period // 4, max(1, first.period // 64)):
        other = LfsrParams(width=args.width, seed=jump(first, start))
        figures.append(pair_figures(x, LfsrModel(other).run(first.period)["value"], args.width))
    rms, correlation = np.array(figures).T
    print(
        f"two LFSRs, seeds far apart ({len(figures)} pairs):\n{'':22}  {rms.max():9.4f}  "
        f"{rms.mean():.4f}  {correlation.max():11.3f}  {correlation.mean():.3f}"
    )


if __name__ == "__main__":
    main()
