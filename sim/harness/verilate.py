"""Verilog to a shared library: Verilator, then g++, each result cached by its content."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from hdl.params.errors import NervureError
from sim.toolchain import build_once, cache_dir, find_program, find_verilator, program_version

__all__ = ["BuildFailed", "BuildOptions", "build_model", "build_runtime"]

Progress = Callable[[str], None]
Command = Sequence[str | Path]

_HARNESS = Path(__file__).resolve().parent
_HARNESS_FILES = (
    "verilated_main.cpp", "verilated_main.h", "verilated_model.cpp", "verilated_print.h"
)  # fmt: skip
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp", "verilated_vcd_c.cpp")
_LINT = ("-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC", "-Wno-UNOPTFLAT")
_ONE_FILE_BYTES = 300_000  # models below this compile fastest as one C++ file
_ONE_FAST_FILE_BYTES = 2_000_000  # the same without optimisation: headers are most of the work


class BuildFailed(NervureError):
    """Verilator or g++ refused the sources. The message names the tool and its first error."""


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What shapes the shared library, besides the sources.

    Parameters
    ----------
    trace : bool
        Can write waveforms (VCD). Costs speed even while no trace runs.
    internals : bool
        Keeps every signal and memory visible. Costs speed: Verilator may not optimise them away.
    optimise : bool
        Optimise the C++ (-O2); else compile fast (-O0), for runs of a few hundred cycles.
    """

    trace: bool = False
    internals: bool = False
    optimise: bool = True

    @property
    def verilator_flags(self) -> tuple[str, ...]:
        """Flags of the Verilator run."""
        flags = ["-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", *_LINT]
        flags += ["--timescale", "1ns/1ns"]
        flags += ["--trace-vcd"] if self.trace else []
        flags += ["--public-flat-rw"] if self.internals else []
        return tuple(flags)


def _compiler_flags() -> list[str]:
    """Flags of every g++ run; hidden symbols keep several models apart in one process."""
    flags = ["-O2", "-std=gnu++17", "-fPIC", "-w", "-fvisibility=hidden", "-fno-strict-aliasing"]
    flags += ["-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE=1"]
    flags += ["-DVM_TRACE_VCD=1", "-DVM_TRACE_FST=0", "-DVM_TRACE_SAIF=0"]
    flags += ["-DVL_USER_STOP", "-DVL_USER_FINISH", "-DVL_USER_FATAL", "-DVL_USER_WARN"]
    flags += ["-DVL_PRINTF=nervure_printf"]
    if sys.platform.startswith("linux"):
        flags += ["-fno-gnu-unique"]
    return flags


def build_model(
    sources: Sequence[Path],
    top: str,
    options: BuildOptions,
    data_files: Mapping[str, Path],
    progress: Progress,
) -> Path:
    """Folder with ``model.so``, ``build.json`` and ``data/``, from the cache or newly built."""
    for path in (*sources, *data_files.values()):
        if not Path(path).is_file():
            raise BuildFailed(f"{path}: no such file; give the Verilog and memory files that exist")
    target = cache_dir("verilated", f"{top}-{_key(sources, top, options, data_files)}")
    if target.exists():
        return target
    runtime = build_runtime(progress)

    def make(work: Path) -> None:
        (work / "data").mkdir()
        for name, path in data_files.items():
            (work / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, work / "data" / name)
        generated = work / "generated"
        progress(f"Verilator reads {top}")
        _verilate(sources, top, options, generated)
        (generated / "nervure_ports.h").write_text(_ports_header(generated / "Vmodel.h"))
        _compile(generated, runtime, options, work / "model.so", progress)
        shutil.rmtree(generated)
        record = {"top": top, "sources": [p.name for p in sources], **asdict(options)}
        (work / "build.json").write_text(json.dumps(record, indent=1) + "\n")

    return build_once(target, make)


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(len(chunk).to_bytes(8, "little"))
        digest.update(chunk)
    return digest.hexdigest()[:24]


def _tools_key() -> list[bytes]:
    """What the compiled runtime depends on: versions, flags and our own C++."""
    parts = [find_verilator().version, program_version(str(find_program("g++"))), sys.platform]
    parts += [str(find_verilator().include), *_compiler_flags()]
    return [p.encode() for p in parts] + [(_HARNESS / f).read_bytes() for f in _HARNESS_FILES]


def _key(
    sources: Sequence[Path], top: str, options: BuildOptions, data_files: Mapping[str, Path]
) -> str:
    chunks = [*_tools_key(), repr((options, options.verilator_flags, top)).encode()]
    for name, path in [*((p.name, p) for p in sources), *sorted(data_files.items())]:
        chunks += [name.encode(), path.read_bytes()]
    return _digest(chunks)


def _run(command: Command, cwd: Path, tool: str, **extra: str) -> None:
    words = [str(part) for part in command]
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, env={**os.environ, **extra}
    )
    if done.returncode:
        text = (done.stderr + done.stdout).splitlines()
        errors = [line for line in text if re.search(r"%Error|error:|undefined reference", line)]
        reason = (errors or text or [f"exit code {done.returncode}"])[0]
        raise BuildFailed(f"{tool}: {reason.strip()}")


def build_runtime(progress: Progress) -> Path:
    """Folder with the objects that every model links, and the precompiled header they share."""
    target = cache_dir("verilated", f"runtime-{_digest(_tools_key())}")
    include = find_verilator().include

    def make(work: Path) -> None:
        progress("g++ compiles Verilator's runtime (once)")
        for name in _HARNESS_FILES:
            shutil.copy(_HARNESS / name, work / name)
        base: list[str | Path] = [
            find_program("g++"),
            *_compiler_flags(),
            "-I.",
            f"-I{include}",
        ]
        base += [f"-I{include / 'vltstd'}"]
        units = [include / name for name in _RUNTIME]
        header = ["-x", "c++-header", "verilated_main.h", "-o", "verilated_main.h.gch"]
        jobs: list[Command] = [[*base, *header]]
        for unit in (*units, Path("verilated_main.cpp")):
            level = (
                "-O2" if unit.stem == "verilated_main" else "-O1"
            )  # the rest is off the hot path
            unit_flags = [level, "-include", "verilated_print.h", "-c"]
            jobs.append([*base, *unit_flags, unit, "-o", f"{unit.stem}.o"])
        _run_all(jobs, work, lambda done: progress(f"runtime: {done} of {len(jobs)} files"))

    return build_once(target, make)


def _run_all(jobs: Sequence[Command], cwd: Path, done: Callable[[int], None]) -> None:
    """Run compilers side by side, one for each core that this process may use."""
    may_use = getattr(os, "sched_getaffinity", None)
    with ThreadPoolExecutor(len(may_use(0)) if may_use else os.cpu_count() or 1) as pool:
        runs = [pool.submit(_run, job, cwd, "g++") for job in jobs]
        try:
            for count, run in enumerate(as_completed(runs), 1):
                run.result()
                done(count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _verilate(sources: Sequence[Path], top: str, options: BuildOptions, out: Path) -> None:
    """Run Verilator on copies, so that neither paths nor files beside them enter the library."""
    verilator = find_verilator()
    copies = out / "source"
    copies.mkdir(parents=True)
    names = [path.name for path in sources]
    for path in sources:
        if names.count(path.name) > 1:
            raise BuildFailed(f"{path}: two sources have this name; rename one of them")
        shutil.copy(path, copies / path.name)
    command: list[str | Path] = [verilator.binary, "--cc", "--prefix", "Vmodel"]
    command += ["--top-module", top, *options.verilator_flags, "--Mdir", out]
    command += [name for name in names if not name.endswith((".vh", ".svh"))]
    _run(command, copies, "Verilator", VERILATOR_ROOT=str(verilator.root))


def _compile(
    folder: Path, runtime: Path, options: BuildOptions, library: Path, progress: Progress
) -> None:
    """Compile the generated C++: one file when small, else one for each core and more."""
    include = find_verilator().include
    base: list[str | Path] = [find_program("g++"), *_compiler_flags()]
    base += ["-I.", f"-I{runtime}", f"-I{include}", f"-I{include / 'vltstd'}"]
    base += ["-include", "verilated_main.h"]
    files = sorted(folder.glob("*.cpp"), key=lambda path: -path.stat().st_size)
    files = [path for path in files if not path.name.endswith("__Dpi.cpp")]
    slow = [path for path in files if path.name.endswith("Slow.cpp")]
    fast = [path for path in files if path not in slow]
    groups = [[path] for path in fast] + [slow]
    limit = _ONE_FILE_BYTES if options.optimise else _ONE_FAST_FILE_BYTES
    if sum(path.stat().st_size for path in files) < limit:
        groups = [files]
    jobs: list[Command] = []
    for number, group in enumerate(groups):
        # A pragma and not a flag: the precompiled header holds for one set of flags.
        fast_build = group is slow or not options.optimise
        lines = ['#pragma GCC optimize("O0")'] if fast_build else []
        lines += [f'#include "{path.name}"' for path in group]
        lines += ['#include "verilated_model.cpp"'] if number == len(groups) - 1 else []
        unit = folder / f"unit{number}.cc"
        unit.write_text("\n".join(lines) + "\n")
        jobs.append([*base, "-c", unit.name, "-o", f"unit{number}.o"])
    progress(f"g++ compiles {len(jobs)} file(s)")
    _run_all(jobs, folder, lambda done: progress(f"g++ compiled {done} of {len(jobs)} file(s)"))
    link: list[str | Path] = [
        find_program("g++"),
        "-shared",
        "-o",
        library,
        *sorted(folder.glob("unit*.o")),
    ]
    link += sorted(runtime.glob("*.o"))
    if sys.platform.startswith("linux"):
        link += ["-Wl,-Bsymbolic", "-Wl,-s"]
    _run([*link, "-pthread"], folder, "g++")


def _ports_header(header: Path) -> str:
    """The port table of a model, read from the declarations in its generated header."""
    declared = re.compile(r"VL_(IN|OUT|INOUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)(?:,\d+)?\);")
    rows = []
    for kind, member, high, low in declared.findall(header.read_text()):
        name = re.sub(r"__0([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), member)
        bits = int(high) - int(low) + 1
        rows.append(f'X("{name}", {member}, {bits}, {int(kind == "IN")})')
    return "#define NERVURE_PORTS(X) \\\n" + " \\\n".join(rows) + "\n"
