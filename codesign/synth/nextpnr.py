"""Place and route for ECP5 with nextpnr, over one or several seeds."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from codesign.synth import cache
from codesign.synth.path import CriticalPath, describe, read_cell_kinds
from codesign.synth.process import Progress, heartbeat, nextpnr_command, quiet, run_tool
from codesign.synth.yosys import Netlist
from hdl.params.errors import CheckFailed

__all__ = ["Device", "Placement", "best", "median_mhz", "place_and_route"]

_OVERFLOW = (
    "no BELs remaining",
    "Unable to find legal placement",
    "failed to place",
    "Unable to place",
)


@dataclass(frozen=True, kw_only=True)
class Device:
    """The part that a design is placed on, as nextpnr names it."""

    flag: str = "--85k"
    package: str = "CABGA381"
    speed: int = 6


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One place and route run: `fmax` and `asked` hold MHz by clock, `utilisation` (used, there)
    by nextpnr's cell kind."""

    seed: int
    freq_mhz: float
    fmax: dict[str, float]
    asked: dict[str, float]
    utilisation: dict[str, tuple[int, int]]
    path: CriticalPath | None
    config: Path | None

    @property
    def fmax_mhz(self) -> float:
        """The slowest clock, MHz (0 when nothing is clocked)."""
        return min(self.fmax.values(), default=0.0)

    def used(self, kind: str) -> int:
        """How many cells of a kind the placed design uses."""
        return self.utilisation.get(kind, (0, 0))[0]

    def to_json(self) -> dict[str, Any]:
        """All but the configuration file, as plain data."""
        data = asdict(self)
        del data["config"]
        return data


def median_mhz(placements: Sequence[Placement]) -> float:
    """Median Fmax over the seeds."""
    return median(item.fmax_mhz for item in placements)


def best(placements: Sequence[Placement]) -> Placement:
    """The placement with the highest Fmax; the lowest seed wins a tie."""
    return max(placements, key=lambda item: (item.fmax_mhz, -item.seed))


def place_and_route(
    netlist: Netlist,
    device: Device,
    out_dir: Path,
    *,
    lpf: str | None = None,
    freq_mhz: float = 50.0,
    seeds: Sequence[int] = (1,),
    workers: int = 2,
    threads: int | None = None,
    out_of_context: bool = False,
    progress: Progress = quiet,
    fresh: bool = False,
) -> list[Placement]:
    """Place and route once for each seed, `workers` at a time.

    `lpf` is the text of the pin file; `out_of_context` needs none and adds no pins. Writes
    `<variant>-s<seed>.nextpnr.log` and, with pins, `<variant>-s<seed>.config` into `out_dir`.
    """
    command, version = nextpnr_command()
    options = [device.flag, "--package", device.package, "--speed", str(device.speed)]
    options += ["--freq", f"{freq_mhz:g}", "--timing-allow-fail", "--top", netlist.top]
    if threads:
        options += ["--threads", str(threads)]
    if out_of_context:
        options.append("--out-of-context")
    content = cache.digest_files([netlist.path]), None if out_of_context else lpf
    kinds = read_cell_kinds(netlist.path, netlist.top)
    out = out_dir.resolve()
    out.mkdir(parents=True, exist_ok=True)

    def one(seed: int) -> Placement:
        stem = f"{netlist.variant}-s{seed}"
        key = cache.digest("nextpnr", *content, options, seed, version)
        place = cache.folder("placement", key)
        if fresh or not (place / "report.json").is_file():
            log = out / f"{stem}.nextpnr.log"
            run = [*command, *options, "--seed", str(seed)]
            _run(run, netlist, None if out_of_context else lpf or "", place=place, log=log)
        shutil.copyfile(place / "log", out / f"{stem}.nextpnr.log")
        config = out / f"{stem}.config" if (place / "config").is_file() else None
        if config:
            shutil.copyfile(place / "config", config)
        report = json.loads((place / "report.json").read_text())
        return _read(report, kinds, seed=seed, freq_mhz=freq_mhz, config=config)

    count = "" if len(seeds) == 1 else f", {len(seeds)} seeds"
    with (
        heartbeat(f"nextpnr ({netlist.variant}{count})", progress),
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        return list(pool.map(one, seeds))


def _run(
    command: Sequence[str], netlist: Netlist, lpf: str | None, *, place: Path, log: Path
) -> None:
    """Run nextpnr in a scratch folder and move the outcome to `place`."""
    with tempfile.TemporaryDirectory(prefix="nervure-") as scratch:
        work = Path(scratch)
        shutil.copyfile(netlist.path, work / "netlist.json")
        argv = [*command, "--json", "netlist.json", "--report", "report.json"]
        if lpf is not None:
            (work / "pins.lpf").write_text(lpf)
            argv += ["--lpf", "pins.lpf", "--textcfg", "config"]
        try:
            run_tool("nextpnr", argv, cwd=work, log=log)
        except CheckFailed as error:
            if any(text in str(error) for text in _OVERFLOW):
                raise CheckFailed(
                    f"the design does not fit: {error}; use fewer cores or lanes, or a larger board"
                ) from error
            raise
        names = ("report.json", "config")
        cache.store(place, {**{name: work / name for name in names}, "log": log})


def _clock_name(name: str) -> str:
    """A clock's name in the design: nextpnr prefixes promoted clocks."""
    return name.removeprefix("$glbnet$").split("$TRELLIS_IO", 1)[0]


def _read(
    report: Mapping[str, Any],
    kinds: Mapping[str, str],
    *,
    seed: int,
    freq_mhz: float,
    config: Path | None,
) -> Placement:
    """Read nextpnr's report; the path told is that of the slowest clock."""
    fmax = {_clock_name(name): value["achieved"] for name, value in report["fmax"].items()}
    paths = [
        describe(path, kinds)
        for path in report["critical_paths"]
        if path["path"] and "async" not in path["from"] + path["to"]
    ]
    return Placement(
        seed=seed,
        freq_mhz=freq_mhz,
        fmax={name: round(value, 2) for name, value in fmax.items()},
        asked={_clock_name(name): value["constraint"] for name, value in report["fmax"].items()},
        utilisation={
            kind: (value["used"], value["available"])
            for kind, value in report["utilization"].items()
        },
        path=max(paths, key=lambda item: item.total_ns, default=None),
        config=config,
    )
