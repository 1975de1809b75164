"""Keys and types of program.json."""

from __future__ import annotations

from typing import Any

__all__ = ["FORMATS", "INPUT", "POPULATION", "PROJECTION", "document_problems"]

Keys = dict[str, type | tuple[type, ...]]

DOCUMENT: Keys = {
    "schema": str, "version": int, "name": str, "formats": dict, "inputs": list,
    "populations": list, "projections": list, "outputs": list, "readout": str,
    "options": dict, "notes": list, "arrays_sha256": str,
}  # fmt: skip
FORMATS: Keys = dict.fromkeys(("membrane_bits", "current_bits", "decay_bits", "payload_bits"), int)
INPUT: Keys = {
    "name": str, "size": int, "graded": bool, "scale": (int, float),
}  # fmt: skip
POPULATION: Keys = {
    "name": str, "kind": str, "size": int, "level": int, "payload_scale": (int, float),
    "node": str,
}  # fmt: skip
PROJECTION: Keys = {
    "source": str, "target": str, "weight_bits": int, "exponent": int, "delay": int, "node": str,
}  # fmt: skip


def _keys(where: str, thing: Any, keys: Keys, found: list[str]) -> bool:
    """Whether `thing` is an object with exactly these keys and types; problems go to `found`."""
    if not isinstance(thing, dict):
        found.append(f"{where}: must be an object, not {type(thing).__name__}")
        return False
    before = len(found)
    for key, kind in keys.items():
        if key not in thing:
            found.append(f"{where}: {key!r} is missing")
        elif not isinstance(thing[key], kind) or (
            isinstance(thing[key], bool) and kind is not bool
        ):
            wanted = getattr(kind, "__name__", "number")
            found.append(f"{where}: {key!r} must be {wanted}, not {type(thing[key]).__name__}")
    found.extend(f"{where}: unknown key {key!r}" for key in sorted(set(thing) - set(keys)))
    return len(found) == before


def document_problems(document: dict[str, Any]) -> list[str]:
    """Problems of keys and types."""
    found: list[str] = []
    if not _keys("program.json", document, DOCUMENT, found):
        return found
    _keys("formats", document["formats"], FORMATS, found)
    for what, keys in (
        ("inputs", INPUT),
        ("populations", POPULATION),
        ("projections", PROJECTION),
    ):
        for i, thing in enumerate(document[what]):
            _keys(f"{what}[{i}]", thing, keys, found)
    if not all(isinstance(name, str) for name in document["outputs"]):
        found.append("outputs: must be names")
    for i, note in enumerate(document["notes"]):
        if not isinstance(note, dict) or not all(isinstance(v, str) for v in note.values()):
            found.append(f"notes[{i}]: must be an object of texts")
    return found
