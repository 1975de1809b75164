"""Results of slow tools, kept by the content they were made from."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["digest", "digest_files", "folder", "root", "store"]


def root() -> Path:
    """The cache folder: NERVURE_CACHE, or `nervure` in the user's cache folder."""
    chosen = os.environ.get("NERVURE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("nervure", appauthor=False))


def digest(*parts: object) -> str:
    """A hash of the parts, in order."""
    state = hashlib.sha256()
    for part in parts:
        data = repr(part).encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()[:32]


def digest_files(paths: Iterable[Path]) -> str:
    """A hash of the names and contents of files."""
    rows = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    return digest(*rows)


def folder(kind: str, key: str) -> Path:
    """Where a result of this kind and key stands (it may not exist)."""
    return root() / "synth" / kind / key


def store(place: Path, files: Mapping[str, Path]) -> None:
    """Put files under `place`: written beside, then renamed, so readers see all or nothing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name[:8]}-", dir=place.parent))
    for name, path in files.items():
        if path.is_file():
            shutil.copyfile(path, beside / name)
    try:
        beside.rename(place)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        try:
            beside.rename(place)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
