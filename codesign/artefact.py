"""The artefact: the directory that `compile` writes and everything else reads."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.runtime import AS_COMPILED, RunTime
from codesign.settings import Settings
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from mapping.graph import Graph
    from mapping.mapped import Mapped
    from mapping.program import Program

__all__ = ["ACTIVITY", "MARKER", "Artefact", "mapping_digest", "replacing", "write_json"]

#: The file that makes a directory ours.
MARKER = "nervure.json"
#: Events per step of inputs and neurons that the mapping was made for.
ACTIVITY = "activity.npz"
VERSION = 1


def write_json(path: Path, document: Any) -> None:
    """Sorted, indented, same document same bytes."""
    write_text(path, json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Written beside, then renamed."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.replace(path)


def mapping_digest(mapped: Mapped) -> str:
    """Identity of a mapping: addresses, parameters and memory contents."""
    h = hashlib.sha256(repr((mapped.mesh, mapped.host, mapped.schedule)).encode())
    for images in mapped.images:
        h.update(repr(sorted(images.items()) if images else None).encode())
    for name, (tile, slot) in sorted(mapped.slots.items()):
        h.update(repr((name, tile.tolist(), slot.tolist())).encode())
    h.update(repr((mapped.input_routes, mapped.delayed_routes)).encode())
    return h.hexdigest()


def check_output(directory: Path, marker: str = MARKER) -> None:
    """UserError unless `directory` is free, empty, or ours: it holds the file `marker`."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise UserError(f"{directory}: exists and is not a directory; give another -o")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / marker).is_file():
        raise UserError(
            f"{directory}: exists and was not written by nervure; give another -o or remove it"
        )
    if not directory.absolute().parent.is_dir():
        raise UserError(f"{directory}: {directory.absolute().parent} does not exist; make it first")


@contextmanager
def replacing(directory: Path, marker: str = MARKER) -> Iterator[Path]:
    """A new directory beside `directory` that takes its place if all goes well."""
    check_output(directory, marker)
    directory = directory.absolute()
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        beside.chmod(0o755)
        yield beside
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
            directory.rename(old / "old")
            beside.rename(directory)
            shutil.rmtree(old)
        else:
            beside.rename(directory)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@dataclass(frozen=True)
class Artefact:
    """A compiled model on disk. Open it with `Artefact.open`.

    run_time : what it runs with.
    """

    directory: Path
    manifest: dict[str, Any]
    run_time: RunTime = AS_COMPILED

    @classmethod
    def open(cls, directory: Path | str) -> Artefact:
        """UserError if the directory is missing, not ours, or of another version."""
        directory = Path(directory)
        path = directory / MARKER
        if not directory.is_dir():
            raise UserError(f"{directory}: no such directory; run nervure compile first")
        if not path.is_file():
            raise UserError(f"{directory}: not an artefact ({MARKER} is missing); compile it again")
        try:
            manifest = json.loads(path.read_text())
            version = manifest["version"]
            for key in ("model", "settings", "mapping"):
                manifest[key]
        except (ValueError, KeyError, TypeError, OSError):
            raise UserError(f"{path}: damaged; run nervure compile again") from None
        if version != VERSION:
            raise UserError(
                f"{path}: written for version {version}, this is {VERSION}; compile it again"
            )
        return cls(directory, manifest)

    @cached_property
    def settings(self) -> Settings:
        where = str(self.directory / MARKER)
        return (
            Settings().with_values(self.manifest["settings"], where).with_tables_in(self.directory)
        )

    def at(self, run_time: RunTime) -> Artefact:
        """The artefact with other choices at run time."""
        return replace(self, run_time=run_time) if run_time.given() else self

    @cached_property
    def compiled(self) -> Program:
        """What it computes as compiled."""
        from mapping.storage import load

        return load(self.directory)

    @cached_property
    def program(self) -> Program:
        """What it computes, at run time's choices."""
        return self.run_time.program(self.compiled, self.settings.crossbar)

    @property
    def activity(self) -> dict[str, np.ndarray] | None:
        """Events per step that the mapping was made for, by input and population (codesign/
        activity.py); None, 1 everywhere, in artefacts that don't say."""
        from codesign.activity import by_name
        from sim.npz import read_npz

        path = self.directory / ACTIVITY
        if not path.is_file():
            return None
        counted = read_npz(path, ("events_per_step",)).get("events_per_step", np.zeros(0))
        size = self.compiled.input_size + sum(p.size for p in self.compiled.populations)
        if (
            counted.dtype != np.float32
            or counted.shape != (size,)
            or not ((counted >= 0) & np.isfinite(counted)).all()
        ):
            raise UserError(f"{path}: damaged; compile it again")
        return by_name(self.compiled, counted)

    @cached_property
    def mapped(self) -> Mapped:
        """The mapping, made again from Program, settings and activity: a function of them."""
        from mapping.mapper import map_program

        mapped = map_program(self.compiled, self.settings.target, self.activity)
        if mapping_digest(mapped) != self.manifest["mapping"]:
            raise UserError(
                f"{self.directory}: program.json, arrays.npz or {ACTIVITY} do not belong to the "
                "Verilog (changed, or written by another version of nervure); compile it again"
            )
        return replace(mapped, program=self.program)

    @cached_property
    def graph(self) -> Graph:
        """The floating-point model that was compiled."""
        from mapping.importers.load import load_graph

        return load_graph(self.directory / self.manifest["model"], self.settings.options)

    @property
    def sources(self) -> list[Path]:
        """The Verilog and the memory files that it reads."""
        found = sorted((self.directory / "rtl").glob("*.v"))
        if not found:
            raise UserError(f"{self.directory}: rtl/ has no Verilog; compile it again")
        return found + sorted((self.directory / "rtl").glob("*.mem"))

    @property
    def report(self) -> dict[str, Any]:
        """The report so far; empty if none is there."""
        try:
            return json.loads((self.directory / "report.json").read_text())
        except (OSError, ValueError):
            return {}

    def add_to_report(self, **sections: Any) -> None:
        """Puts sections into report.json."""
        write_json(self.directory / "report.json", {**self.report, **sections})
