"""The integer devices against the real-number ones: mean and deviation of a read, KS distance.

Conductances are 10 bits, reads independent. A device of kind "write" aims at x * g_max, one of kind
"pulse" stands there and takes a SET pulse; uS. The last line of a device has the largest relative
difference of means and of deviations, and the largest distance; two equal laws are apart by up to
1.63 sqrt(2 / samples) in one of 100 cases.

Example: python tests/bench/bench_device.py [samples] [device ...]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sim.device.compare import compare
from sim.device.table import load_devices

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
TIMES = {"0": 0.0, "1 h": 3600.0, "1 d": 86400.0, "30 d": 30 * 86400.0}


def main() -> None:
    """Measure and print."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    devices = load_devices()
    print(f"{samples} devices each\n")
    print("| device | x | time | mean | integer | deviation | integer | KS |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sys.argv[2:] or devices:
        worst = [0.0, 0.0, 0.0]
        for x in SHARES:
            for label, seconds in TIMES.items():
                c = compare(devices[name], x, seconds, samples=samples, seed=1)
                print(
                    f"| {name} | {x} | {label} | {c.mean:.3f} | {c.integer_mean:.3f} "
                    f"| {c.sigma:.3f} | {c.integer_sigma:.3f} | {c.distance:.4f} |"
                )
                now = (
                    abs(c.integer_mean / c.mean - 1),
                    abs(c.integer_sigma / c.sigma - 1) if c.sigma > 1e-9 else c.integer_sigma,
                    c.distance,
                )
                worst = [max(pair) for pair in zip(worst, now, strict=True)]
        print(f"| {name} | worst | | | {worst[0]:.1%} | | {worst[1]:.1%} | {worst[2]:.4f} |")


if __name__ == "__main__":
    main()
