"""Bitstreams: a routed configuration to .bit and .svf with ecppack."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from codesign.synth.process import Progress, heartbeat, pack_command, quiet, run_tool

__all__ = ["pack"]


def pack(config: Path, bit: Path, *, svf: bool = False, progress: Progress = quiet) -> Path:
    """Write `bit` (and, if asked, the same name with .svf) from nextpnr's configuration."""
    command, _ = pack_command()
    bit.parent.mkdir(parents=True, exist_ok=True)
    with (
        heartbeat("ecppack", progress),
        tempfile.TemporaryDirectory(prefix="nervure-", dir=bit.parent) as scratch,
    ):
        work = Path(scratch)
        shutil.copyfile(config, work / "config")
        argv = [*command, "--compress", "--input", "config", "--bit", "out.bit"]
        if svf:
            argv += ["--svf", "out.svf"]
        run_tool("ecppack", argv, cwd=work, log=bit.with_suffix(".ecppack.log"))
        if svf:
            (work / "out.svf").replace(bit.with_suffix(".svf"))
        (work / "out.bit").replace(bit)
    return bit
