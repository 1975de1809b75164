"""Area, speed and critical path of one Verilog module, out of context on an ECP5-85F, speed 6.

Example: python tests/bench/ooc.py router.v router --freq 150 --seeds 3 --variants
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from codesign.synth.ooc import measure
from codesign.synth.yosys import VARIANTS
from hdl.params.errors import NervureError


def say(stage: str) -> None:
    """Show progress on one line of a terminal; in a log only what is new."""
    if sys.stderr.isatty():
        print(f"\r\033[K  {stage}", end="", file=sys.stderr, flush=True)
    elif not stage.endswith(" s"):
        print(f"  {stage}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="Verilog files, then the top module (optional)")
    parser.add_argument("--freq", type=float, default=150.0, help="asked for, MHz (150)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1..n (3)")
    parser.add_argument("--variants", action="store_true", help="try all Yosys variants")
    parser.add_argument("--variant", default="nowidelut", help=" | ".join(VARIANTS))
    parser.add_argument("--workers", type=int, default=2, help="placements at a time (2)")
    parser.add_argument("--out", type=Path, help="keep netlists and logs in this folder")
    parser.add_argument("--fresh", action="store_true", help="ignore cached results")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    files = [name for name in args.files if Path(name).suffix in (".v", ".sv")]
    tops = [name for name in args.files if name not in files]
    start = time.monotonic()
    try:
        result = measure(
            files,
            tops[0] if tops else None,
            freq=args.freq,
            seeds=args.seeds,
            variants=tuple(VARIANTS) if args.variants else (args.variant,),
            out_dir=args.out,
            workers=args.workers,
            progress=say,
            fresh=args.fresh,
        )
    except NervureError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps(result, indent=1))
        return 0
    for row in result["variants"]:
        seeds = " ".join(f"{mhz:.1f}" for mhz in row["fmax_by_seed"].values())
        print(
            f"{row['top']} [{row['variant']}]  COMB {row['comb']} (LUT4 {row['lut4']})  "
            f"FF {row['ff']}  BRAM {row['bram']}  DSP {row['dsp']}  LUTRAM {row['lutram']}  "
            f"Fmax best {row['fmax_mhz']:.1f} median {row['fmax_median_mhz']:.1f} MHz ({seeds})"
        )
        print(f"    {row['critical_path']}")
    for line in result["memories"]:
        print(f"    memory {line}")
    if len(result["variants"]) > 1:
        print(f"keep: {result['variant']}")
    print(f"{time.monotonic() - start:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
