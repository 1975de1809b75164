"""Keys and types of program.json."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from hdl.params.winners import Winners

__all__ = [
    "DENDRITES",
    "FORMATS",
    "INPUT",
    "OPTIONAL_DENDRITES",
    "POPULATION",
    "PROJECTION",
    "document_problems",
]

Keys = dict[str, type | tuple[type, ...]]

#: "kind" of a population's dendrites.
DENDRITES = {
    "streams": Streams, "attention": AttentionParams, "crossbar": Crossbar, "diagonal": Diagonal,
    "gate": Gate,
}  # fmt: skip

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
#: Keys that stand only where they say something: those of dendrites by their defaults.
OPTIONAL_DENDRITES = {"margin": -1, "stretch": 1, "repeats": False}
OPTIONAL: dict[str, Keys] = {
    "formats": {"table_bits": int},
    "populations": {"dendrites": dict, "table": bool, "winners": dict, "apart": str},
    "projections": {"port": str},
}


def _keys(
    where: str, thing: Any, keys: Keys, found: list[str], optional: Keys | None = None
) -> bool:
    """Whether `thing` is an object with exactly these keys and types; problems go to `found`."""
    if not isinstance(thing, dict):
        found.append(f"{where}: must be an object, not {type(thing).__name__}")
        return False
    before = len(found)
    optional = optional or {}
    for key, kind in {**keys, **optional}.items():
        if key not in thing:
            if key in optional:
                continue
            found.append(f"{where}: {key!r} is missing")
        elif not isinstance(thing[key], kind) or (
            isinstance(thing[key], bool) and kind is not bool
        ):
            wanted = getattr(kind, "__name__", "number")
            found.append(f"{where}: {key!r} must be {wanted}, not {type(thing[key]).__name__}")
    unknown = sorted(set(thing) - set(keys) - set(optional))
    found.extend(f"{where}: unknown key {key!r}" for key in unknown)
    return len(found) == before


def _dendrites(where: str, thing: dict[str, Any], found: list[str]) -> None:
    """Kind, keys and types of a population's dendrites; their values too."""
    kind = thing.get("kind")
    if not isinstance(kind, str) or kind not in DENDRITES:
        found.append(f"{where}: 'kind' must be one of {', '.join(DENDRITES)}, not {kind!r}")
        return
    _params(where, DENDRITES[kind], {k: v for k, v in thing.items() if k != "kind"}, found)


def _params(where: str, params: Any, values: dict[str, Any], found: list[str]) -> None:
    """Keys, types and values of an object of parameters."""
    types = {"int": int, "bool": bool, "str": str}
    keys: Keys = {f.name: types[str(f.type)] for f in fields(params)}
    optional: Keys = {key: keys.pop(key) for key in OPTIONAL_DENDRITES if key in keys}
    if _keys(where, values, keys, found, optional):
        try:
            params(**values)
        except ValueError as error:
            found.append(f"{where}: {error}")


def document_problems(document: dict[str, Any]) -> list[str]:
    """Problems of keys and types."""
    found: list[str] = []
    if not _keys("program.json", document, DOCUMENT, found):
        return found
    _keys("formats", document["formats"], FORMATS, found, OPTIONAL["formats"])
    for what, keys in (
        ("inputs", INPUT),
        ("populations", POPULATION),
        ("projections", PROJECTION),
    ):
        for i, thing in enumerate(document[what]):
            where = f"{what}[{i}]"
            if not _keys(where, thing, keys, found, OPTIONAL.get(what)):
                continue
            if "dendrites" in thing:
                _dendrites(f"{where}: dendrites", thing["dendrites"], found)
            if "winners" in thing:
                _params(f"{where}: winners", Winners, thing["winners"], found)
    if not all(isinstance(name, str) for name in document["outputs"]):
        found.append("outputs: must be names")
    for i, note in enumerate(document["notes"]):
        if not isinstance(note, dict) or not all(isinstance(v, str) for v in note.values()):
            found.append(f"notes[{i}]: must be an object of texts")
    return found
