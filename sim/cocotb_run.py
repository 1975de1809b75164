"""Runs an artefact's own testbench: cocotb and Verilator, the build cached by its content."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.etree import ElementTree

from hdl.params.errors import NervureError, ToolMissing, UserError
from sim.toolchain import build_once, cache_dir, find_program, find_verilator, program_version

__all__ = ["TestbenchResult", "run_testbench"]

#: Files of tb/ that shape the build.
BUILD_FILES = ("test_runner.py", "ports.vlt")
#: A run that takes longer is ended.
TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class TestbenchResult:
    """What the testbench said.

    Members
    -------
    passed : all tests ran and passed.
    tests : how many ran; failed : how many of them failed.
    failures : one line per failed test, with the first difference that it named.
    seconds : wall time, the build included; built : False if the build came from the cache.
    waveform : the VCD of the run, if one was asked for.
    """

    __test__ = False  # no test of pytest's

    passed: bool
    tests: int
    failed: int
    failures: tuple[str, ...]
    seconds: float
    built: bool
    waveform: Path | None = None


def run_testbench(
    directory: Path | str,
    *,
    seed: int = 1,
    waves: Path | None = None,
    build_cache: bool = True,
    progress: Callable[[str], None] = lambda text: None,
) -> TestbenchResult:
    """Builds `directory`/rtl and runs `directory`/tb, writing nothing there.

    waves : write a waveform to this file. build_cache : False builds anew in a scratch folder.
    Raises ToolMissing, UserError if tb/ is damaged, NervureError if it does not build.
    """
    begin = time.perf_counter()
    directory = Path(directory).resolve()
    script = directory / "tb" / "test_runner.py"
    for name in (*BUILD_FILES, "test_nervure.py", "compare.py", "layout.json"):
        if not (script.parent / name).is_file():
            raise UserError(f"{directory}: tb/{name} is missing; compile it again")
    for tool in ("g++", "make", "perl"):
        find_program(tool)
    key = _key(directory, waves is not None)
    flags = ["waves"] if waves is not None else []
    built = False

    def make(folder: Path) -> None:
        nonlocal built
        built = True
        progress("Verilator and g++ build the cocotb testbench")
        done = _run([script, "build", folder, *flags], folder)
        if done.returncode:
            raise NervureError(f"{directory}: the testbench does not build: {_first_error(done)}")

    with tempfile.TemporaryDirectory(prefix="nervure-tb-") as scratch:
        work = Path(scratch)
        target = cache_dir("cocotb", key) if build_cache else work / "build"
        folder = build_once(target, make)
        progress("cocotb runs the testbench")
        run = work / "run"
        run.mkdir()
        done = _run([script, "test", folder, run, str(seed), *flags], run)
        tests, failures = _read_results(run / "results.xml", done)
        if waves is not None and (run / "dump.vcd").is_file():
            waves.write_bytes((run / "dump.vcd").read_bytes())
    return TestbenchResult(
        passed=tests > 0 and not failures and done.returncode == 0,
        tests=tests,
        failed=len(failures),
        failures=tuple(failures),
        seconds=time.perf_counter() - begin,
        built=built,
        waveform=waves,
    )


def _key(directory: Path, waves: bool) -> str:
    """Identity of a build: the Verilog, how it is built, and the tools."""
    try:
        cocotb = version("cocotb")
    except PackageNotFoundError:
        raise ToolMissing("cocotb was not found: pip install cocotb") from None
    compiler = program_version(str(find_program("g++")))
    parts = [cocotb, find_verilator().version, str(find_verilator().root), compiler]
    digest = hashlib.sha256(repr((*parts, waves, sys.platform, sys.prefix)).encode())
    sources = sorted((directory / "rtl").glob("*.v"))
    if not sources:
        raise UserError(f"{directory}: rtl/ has no Verilog; compile it again")
    for path in (*(directory / "tb" / name for name in BUILD_FILES), *sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:24]


def _run(arguments: list[Path | str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python on the testbench's script, in an environment of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    for name in [n for n in kept if n.startswith(("COCOTB_", "PYTEST_"))]:
        del kept[name]
    verilator = find_verilator()
    if not verilator.bundled:
        kept["VERILATOR_ROOT"] = str(verilator.root)
    kept |= {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COCOTB_ANSI_OUTPUT": "0"}
    words = [sys.executable, *(str(a) for a in arguments)]
    try:
        return subprocess.run(
            words, cwd=cwd, env=kept, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NervureError(
            f"cocotb: not done after {TIMEOUT_SECONDS:.0f} s; give fewer steps or samples"
        ) from None


def _first_error(done: subprocess.CompletedProcess[str]) -> str:
    """The line of a log that says most."""
    lines = (done.stdout + done.stderr).splitlines()
    for mark in ("%Error", "error:", "Error", "ERROR"):
        for line in lines:
            if mark in line:
                return line.strip()
    return lines[-1].strip() if lines else f"exit code {done.returncode}"


def _read_results(path: Path, done: subprocess.CompletedProcess[str]) -> tuple[int, list[str]]:
    """Tests that ran, and a line for each that failed."""
    if not path.is_file():
        return 0, [f"no results: {_first_error(done)}"]
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        return 0, [f"results.xml is cut off: {_first_error(done)}"]
    tests, failures = 0, []
    for case in root.iter("testcase"):
        if case.find("skipped") is not None:
            continue
        tests += 1
        for kind in ("failure", "error"):
            found = case.find(kind)
            if found is not None:
                text = (found.get("message") or found.text or "failed").strip().splitlines()[0]
                failures.append(f"{case.get('name')}: {text}")
                break
    if done.returncode and not failures:
        failures.append(f"the simulator stopped: {_first_error(done)}")
    return tests, failures
