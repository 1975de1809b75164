"""A Program on disk: program.json and arrays.npz in one directory.

The JSON holds everything but arrays, with sorted keys and the SHA-256 of arrays.npz; "table_bits",
"dendrites" of a population and what in them is not the rule, that it has a "table", its "winners",
what it stands "apart" with, and "port" of a projection stand there only where they are set. The
arrays are named by position ("population.0.bias", "projection.2.weights"), stored uncompressed with
a fixed time stamp and in the narrowest signed integers that hold them: same Program, same bytes.
Loading takes nothing on trust: keys, types, shapes, member sizes and every rule of the Program
are checked before use, pickles are refused, and all problems come in one error.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.neuron import FIELDS
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.winners import Winners
from mapping.program import VERSION, Formats, Input, Population, Program, Projection
from mapping.schema import (
    DENDRITES,
    FORMATS,
    INPUT,
    OPTIONAL_DENDRITES,
    POPULATION,
    PROJECTION,
    document_problems,
)
from mapping.validate import problems

__all__ = ["digest", "load", "save"]

SCHEMA = "nervure-program"
STAMP = (1980, 1, 1, 0, 0, 0)
SYNAPSES = ("indptr", "indices", "weights")
#: Largest program.json and largest array header that are read.
MOST_JSON = 1 << 28
MOST_HEADER = 4096


def _pick(thing: object, keys: Any) -> dict[str, Any]:
    return {key: getattr(thing, key) for key in keys}


def _population(population: Population) -> dict[str, Any]:
    document, dendrites = _pick(population, POPULATION), population.dendrites
    if dendrites is not None:
        kind = next(name for name, params in DENDRITES.items() if isinstance(dendrites, params))
        document["dendrites"] = {"kind": kind, **dataclasses.asdict(dendrites)}
        for key, default in OPTIONAL_DENDRITES.items():
            if document["dendrites"].get(key) == default:
                del document["dendrites"][key]
    if "table" in population.arrays:
        document["table"] = True
    if population.winners is not None:
        document["winners"] = dataclasses.asdict(population.winners)
    if population.apart:
        document["apart"] = population.apart
    return document


def _formats(formats: Formats) -> dict[str, int]:
    table = {"table_bits": formats.table_bits} if formats.table_bits else {}
    return _pick(formats, FORMATS) | table


def _projection(projection: Projection) -> dict[str, Any]:
    port = {"port": projection.port} if projection.port else {}
    return _pick(projection, PROJECTION) | port


def _arrays(program: Program) -> dict[str, np.ndarray]:
    arrays = {}
    for i, p in enumerate(program.populations):
        for name in FIELDS:
            arrays[f"population.{i}.{name}"] = p.fields[name]
        arrays[f"population.{i}.membrane_scale"] = p.membrane_scale
        for name, array in p.arrays.items():
            arrays[f"population.{i}.array.{name}"] = array.reshape(-1)
    for i, q in enumerate(program.projections):
        for name in SYNAPSES:
            arrays[f"projection.{i}.{name}"] = getattr(q, name)
    return arrays


def _narrow(array: np.ndarray) -> np.ndarray:
    """The same values in the narrowest little-endian type."""
    if array.dtype.kind == "f":
        return array.astype("<f8")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for size in (1, 2, 4):
        if -(1 << (8 * size - 1)) <= low and high < 1 << (8 * size - 1):
            return array.astype(f"<i{size}")
    return array.astype("<i8")


def _pack(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz file; the bytes depend on the arrays only."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = BytesIO()
            np.lib.format.write_array(member, _narrow(arrays[name]), (1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", STAMP)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member.getvalue())
    return out.getvalue()


def _encode(program: Program) -> tuple[bytes, bytes]:
    """(program.json, arrays.npz)."""
    found = problems(program)
    if found:
        raise UserError(f"{program.name}: not a valid program: {'; '.join(found)}")
    arrays = _pack(_arrays(program))
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "formats": _formats(program.formats),
        "inputs": [_pick(i, INPUT) for i in program.inputs],
        "populations": [_population(p) for p in program.populations],
        "projections": [_projection(q) for q in program.projections],
        "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
        **_pick(program, ("name", "outputs", "readout", "options", "notes")),
    }
    try:
        text = json.dumps(document, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError) as e:
        raise UserError(f"{program.name}: options and notes must be plain JSON: {e}") from None
    return (text + "\n").encode(), arrays


def digest(program: Program) -> str:
    """SHA-256 over all that `save` writes; equal for equal Programs."""
    return hashlib.sha256(_encode(program)[0]).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never a part."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def save(program: Program, directory: str | Path) -> None:
    """Write program.json and arrays.npz into `directory`, which is made if needed."""
    text, arrays = _encode(program)
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(directory / "arrays.npz", arrays)
        _replace(directory / "program.json", text)
    except OSError as e:
        raise UserError(f"{directory}: can't be written: {e.strerror}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_JSON:
            raise UserError(f"{path}: larger than {MOST_JSON >> 20} MiB; not a program")
        document = json.loads(path.read_bytes())
    except OSError as e:
        raise UserError(
            f"{path}: can't be read ({e.strerror}); name a directory that `nervure compile` wrote"
        ) from None
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: not JSON: {e}; compile the model again") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UserError(f"{path}: not a Nervure program; compile the model again")
    if document.get("version") != VERSION or isinstance(document["version"], bool):
        raise UserError(
            f"{path}: version {document.get('version')!r}, this Nervure reads {VERSION}; "
            "compile the model again"
        )
    return document


def _member(data: bytes) -> np.ndarray:
    """The array of one .npy member; ValueError if its header does not describe its bytes."""
    file = BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("unknown format version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=MOST_HEADER)
    if dtype.kind not in "if" or fortran or len(shape) != 1:
        raise ValueError(f"must be a list of numbers, not {dtype} of shape {shape}")
    if len(data) - file.tell() != shape[0] * dtype.itemsize:
        raise ValueError(f"{shape[0]} numbers announced, {len(data) - file.tell()} bytes there")
    array = np.frombuffer(data, dtype, offset=file.tell())
    return array.astype(np.int64 if dtype.kind == "i" else np.float64)


def _read_arrays(data: bytes, wanted: list[str], found: list[str]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            names = [m.filename for m in members]
            expected = {f"{name}.npy" for name in wanted}
            found += [f"arrays.npz: {n!r} is missing" for n in sorted(expected - set(names))]
            found += [f"arrays.npz: unknown member {n!r}" for n in sorted(set(names) - expected)]
            if len(set(names)) < len(names):
                found.append("arrays.npz: a member stands there twice")
            for m in members:
                if m.filename not in expected:
                    continue
                if m.compress_type != zipfile.ZIP_STORED or m.file_size > len(data):
                    found.append(f"arrays.npz: {m.filename!r} must be stored uncompressed")
                    continue
                try:
                    arrays[m.filename[:-4]] = _member(archive.read(m))
                except (ValueError, zipfile.BadZipFile, EOFError, SyntaxError) as e:
                    found.append(f"arrays.npz: {m.filename!r}: {e}")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as e:
        found.append(f"arrays.npz: not a readable archive: {e}")
    return arrays


def _dendrites(population: dict[str, Any]) -> Any:
    """The dendrites of a population of the document; None if it has none."""
    if "dendrites" not in population:
        return None
    values = dict(population["dendrites"])
    return DENDRITES[values.pop("kind")](**values)


def _shapes(document: dict[str, Any]) -> list[dict[str, tuple[int, ...]]]:
    """Names and shapes of each population's arrays."""
    size = {thing["name"]: thing["size"] for key in ("inputs", "populations")
            for thing in document[key]}  # fmt: skip
    shapes: list[dict[str, tuple[int, ...]]] = []
    for p in document["populations"]:
        d = _dendrites(p)
        into = [q["source"] for q in document["projections"] if q["target"] == p["name"]]
        data: dict[str, tuple[tuple[int, ...], int, int]] = {}
        if isinstance(d, Crossbar):
            data = d.data(p["size"], sum(size.get(name, 0) for name in into))
        elif isinstance(d, Diagonal):
            data = d.data(p["size"])
        found = {name: shape for name, (shape, _, _) in data.items()}
        if p.get("table"):
            found["table"] = (1 << min(max(document["formats"].get("table_bits", 0), 0), 16),)
        shapes.append(found)
    return shapes


def _decode(document: dict[str, Any], arrays: dict[str, np.ndarray]) -> Program:
    def scale(thing: dict[str, Any], key: str) -> dict[str, Any]:
        return {**thing, key: float(thing[key])}

    shapes = _shapes(document)

    def dendrites(i: int, p: dict[str, Any]) -> dict[str, Any]:
        made = {
            name: arrays[f"population.{i}.array.{name}"].reshape(shape)
            for name, shape in shapes[i].items()
        }
        rest = {key: value for key, value in p.items() if key != "table"}
        winners = Winners(**p["winners"]) if "winners" in p else None
        return {**rest, "dendrites": _dendrites(p), "winners": winners, "arrays": made}

    return Program(
        name=document["name"],
        formats=Formats(**document["formats"]),
        inputs=tuple(Input(**scale(i, "scale")) for i in document["inputs"]),
        populations=tuple(
            Population(
                **scale(dendrites(i, p), "payload_scale"),
                fields={name: arrays[f"population.{i}.{name}"] for name in FIELDS},
                membrane_scale=arrays[f"population.{i}.membrane_scale"],
            )
            for i, p in enumerate(document["populations"])
        ),
        projections=tuple(
            Projection(**{**q, **{name: arrays[f"projection.{i}.{name}"] for name in SYNAPSES}})
            for i, q in enumerate(document["projections"])
        ),
        outputs=tuple(document["outputs"]),
        readout=document["readout"],
        options=document["options"],
        notes=tuple(document["notes"]),
    )


def load(directory: str | Path) -> Program:
    """The Program in `directory`; a UserError lists every problem."""
    directory = Path(directory)
    document = _read_json(directory / "program.json")
    found = document_problems(document)
    try:
        data = (directory / "arrays.npz").read_bytes()
    except OSError as e:
        data = b""
        found.append(f"arrays.npz: can't be read ({e.strerror})")
    if not found:
        wanted = [
            *(f"population.{i}.{n}" for i in range(len(document["populations"]))
              for n in (*FIELDS, "membrane_scale")),
            *(f"population.{i}.array.{n}" for i, shapes in enumerate(_shapes(document))
              for n in shapes),
            *(f"projection.{i}.{n}" for i in range(len(document["projections"]))
              for n in SYNAPSES),
        ]  # fmt: skip
        if hashlib.sha256(data).hexdigest() != document["arrays_sha256"]:
            found.append("arrays.npz: its SHA-256 is not the one in program.json")
        arrays = _read_arrays(data, wanted, found)
        if set(arrays) == set(wanted):
            try:
                program = _decode(document, arrays)
            except OverflowError:
                found.append("program.json: a scale is too large")
            except ValueError as e:
                found.append(f"arrays.npz: not of the sizes in program.json: {e}")
            else:
                found += problems(program)
                if not found:
                    return program
    raise UserError(f"{directory}: {'; '.join(found)}; compile the model again")
