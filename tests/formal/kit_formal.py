"""Proofs of Amaranth specifications with pyosys alone: no solver has to be installed."""

import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil

__all__ = ["prove"]

_JOB = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in sys.argv[1:]:
    ys.run_pass(command, design)
"""


def prove(spec, *, steps: int, bounded: bool = False) -> tuple[bool, str]:
    """Whether all asserts of `spec` hold, and the log of Yosys.

    By k-induction with k up to `steps`; with `bounded` in the first `steps` cycles after power-up.
    `spec.ports` are the inputs, which are free; reset stays low.
    """
    mode = "-tempinduct-baseonly" if bounded else "-tempinduct"
    commands = [
        "read_rtlil spec.il",
        "prep; flatten; memory_map; async2sync; chformal -lower; opt_clean",
        f"sat -verify {mode} -prove-asserts -set-assumes -set rst 0 -seq 1 -maxsteps {steps}",
    ]
    with tempfile.TemporaryDirectory(prefix="nervure-") as scratch:
        (Path(scratch) / "spec.il").write_text(rtlil.convert(spec, name="spec", ports=spec.ports))
        done = subprocess.run(
            [sys.executable, "-c", _JOB, *commands],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=600,
        )
    log = done.stdout + done.stderr
    proven = "Induction step proven: SUCCESS!" in log and done.returncode == 0
    if bounded:
        proven = done.returncode == 0 and "Reached maximum number of time steps" in log
    if not proven and "model found" not in log and "maximum number" not in log:
        raise RuntimeError(f"Yosys did not finish the proof:\n{log[-2000:]}")
    return proven, log
