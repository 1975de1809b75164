"""Verilog to an ECP5 netlist with Yosys, with what every memory became."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

from codesign.synth import cache
from codesign.synth.process import Progress, heartbeat, quiet, run_tool
from hdl.params.errors import ToolMissing, UserError

__all__ = ["VARIANTS", "Memory", "Netlist", "synthesise", "yosys_version"]

VARIANTS = {
    "nowidelut": "-nowidelut",
    "default": "",
    "dff": "-nowidelut -dff",
    "default-dff": "-dff",
    "nocarry": "-nowidelut -noccu2",
    "plain": "-nowidelut",
}
"""Options of `synth_ecp5` by the name used here; all but `plain` also move registers into block
RAM (`outreg`). (`-abc9` and `-retime` change nothing in Yosys 0.70: the pass always runs abc9 and
has no retiming left.)"""

_EXPLODED_BITS = 256
_JOB = Path(__file__).with_name("yosys_job.py")
_CODE = (_JOB, *(Path(__file__).with_name(name) for name in ("outreg.py", "dspreg.py")))


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What one memory of the design became."""

    name: str
    bits: int
    width: int
    depth: int
    read_ports: int
    write_ports: int
    dp16kd: int = 0
    dpr16x4: int = 0
    ff: int = 0
    rom: bool = False
    collisions: bool = False
    output_register: bool = False
    no_output_register_because: str = ""

    @property
    def became(self) -> str:
        """One of `block RAM`, `LUT RAM`, `flip-flops`, `LUT ROM`, `nothing`."""
        if self.dp16kd:
            return "block RAM"
        if self.dpr16x4:
            return "LUT RAM"
        if self.ff:
            return "flip-flops"
        return "LUT ROM" if self.rom else "nothing"

    @property
    def exploded(self) -> bool:
        """Whether it costs a flip-flop a bit although it is too large for that."""
        return self.ff >= _EXPLODED_BITS

    def _notes(self) -> str:
        """What makes a block RAM fast or slow, large or small."""
        notes = ", with output register" if self.output_register else ""
        if self.no_output_register_because:
            notes = f", slow output: {self.no_output_register_because}"
        if self.collisions:
            notes += (
                "; logic keeps the old word when it is read and written at once (Memory(attrs="
                "{'no_rw_check': 1}) drops it where that cannot happen)"
            )
        return notes

    def sentence(self) -> str:
        """One line for people."""
        size = f"{self.name}: {self.depth} x {self.width} = {self.bits} bits"
        if self.dp16kd:
            return f"{size} in {self.dp16kd} block RAM{self._notes()}"
        if self.dpr16x4:
            return f"{size} in {self.dpr16x4} LUT RAM cells (16 x 4)"
        if self.exploded:
            ports = f"{self.read_ports} read and {self.write_ports} write ports"
            return (
                f"{size} became {self.ff} flip-flops ({ports}): a block RAM needs clocked reads, "
                "at most 2 ports and no reset of its content"
            )
        return f"{size} in {self.became}"


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised netlist: the JSON file for nextpnr and what is in it."""

    path: Path
    top: str
    variant: str
    cells: dict[str, int]
    memories: tuple[Memory, ...]
    ports: tuple[tuple[str, int, str], ...] = field(default=())

    @property
    def lut(self) -> int:
        """TRELLIS_COMB that placement will need, roughly (LUTs, carries, LUT RAM)."""
        count = self.cells.get
        ram = count("TRELLIS_DPR16X4", 0)
        return count("LUT4", 0) + 2 * count("CCU2C", 0) + 4 * ram

    @property
    def ff(self) -> int:
        """Flip-flops."""
        return self.cells.get("TRELLIS_FF", 0)

    @property
    def bram(self) -> int:
        """18-kbit block RAMs."""
        return self.cells.get("DP16KD", 0) + self.cells.get("PDPW16KD", 0)

    @property
    def dsp(self) -> int:
        """18 x 18 multipliers."""
        return self.cells.get("MULT18X18D", 0) + self.cells.get("MULT9X9D", 0)

    def to_json(self) -> dict[str, Any]:
        """All but the path, as plain data."""
        data = asdict(self)
        del data["path"]
        return data


def yosys_version() -> str:
    """Version of the pyosys wheel; `ToolMissing` without it."""
    if util.find_spec("pyosys") is None:
        raise ToolMissing("Yosys is not installed; run: pip install pyosys")
    return f"pyosys {metadata.version('pyosys')}"


def data_files(source: Path) -> dict[str, Path]:
    """The memory files that a Verilog file reads, by the name that it uses.

    A relative name is looked for beside the Verilog file and in the folder above.
    """
    text = source.read_text(errors="replace")
    found = {}
    for name in dict.fromkeys(re.findall(r'\$readmem[hb]\s*\(\s*"([^"]+)"', text)):
        places = [source.parent / name, source.parent.parent / name]
        path = next((place for place in places if place.is_file()), None)
        if path is None or ".." in Path(name).parts:
            raise UserError(
                f"{source.name} reads memory file {name}, which is not beside it or below"
            )
        found[name] = path
    return found


def synthesise(
    verilog: Sequence[Path],
    top: str | None,
    out_dir: Path,
    *,
    variants: Sequence[str] = ("nowidelut",),
    family: str = "ecp5",
    progress: Progress = quiet,
    fresh: bool = False,
) -> list[Netlist]:
    """Synthesise `top` (the only uninstantiated module if None) once for each variant.

    Writes `<variant>.json` and `<variant>.yosys.log` into `out_dir`. Results are cached by the
    content of the sources; `fresh` ignores the cache.
    """
    if family != "ecp5":
        raise UserError(f"family '{family}' is not supported; use ecp5")
    version = yosys_version()
    sources = [Path(path).resolve() for path in verilog]
    for path in sources:
        if not path.is_file():
            raise UserError(f"Verilog file {path.name} does not exist in {path.parent}")
    if not sources:
        raise UserError("no Verilog file was given; name at least one .v file")
    for name in variants:
        if name not in VARIANTS:
            raise UserError(f"variant '{name}' is unknown; use one of {', '.join(VARIANTS)}")
    out_dir.mkdir(parents=True, exist_ok=True)
    extra = {name: path for source in sources for name, path in data_files(source).items()}
    content = cache.digest_files([*sources, *extra.values(), *_CODE])
    netlists = []
    for name in variants:
        key = cache.digest("yosys", content, top or "", VARIANTS[name], name == "plain", version)
        place = cache.folder("netlist", key)
        if fresh or not (place / "statistics.json").is_file():
            with heartbeat(f"Yosys ({name})", progress):
                log = out_dir.resolve() / f"{name}.yosys.log"
                _run(sources, extra, top, name, place=place, log=log)
        netlists.append(_collect(place, out_dir, name))
    return netlists


def _run(
    sources: Sequence[Path],
    extra: Mapping[str, Path],
    top: str | None,
    variant: str,
    *,
    place: Path,
    log: Path,
) -> None:
    """Run Yosys in a scratch folder and move the outcome to `place`."""
    with tempfile.TemporaryDirectory(prefix="nervure-") as scratch:
        work = Path(scratch)
        job = {
            "sources": [str(path) for path in sources],
            "top": top,
            "options": VARIANTS[variant],
            "output_registers": variant != "plain",
        }
        (work / "job.json").write_text(json.dumps(job))
        for name, path in extra.items():
            if not Path(name).is_absolute():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, work / name)
        command = [sys.executable, "-m", "codesign.synth.yosys_job", "job.json"]
        run_tool("Yosys", command, cwd=work, log=log, python_path=_JOB.parents[2])
        names = ("netlist.json", "statistics.json")
        cache.store(place, {**{name: work / name for name in names}, "log": log})


def _collect(place: Path, out_dir: Path, variant: str) -> Netlist:
    """Copy a cached run into `out_dir` and read its statistics."""
    path = out_dir / f"{variant}.json"
    shutil.copyfile(place / "netlist.json", path)
    shutil.copyfile(place / "log", out_dir / f"{variant}.yosys.log")
    data = json.loads((place / "statistics.json").read_text())
    return Netlist(
        path=path,
        top=data["top"],
        variant=variant,
        cells=data["cells"],
        memories=tuple(Memory(**row) for row in data["memories"]),
        ports=tuple((name, width, way) for name, width, way in data["ports"]),
    )
