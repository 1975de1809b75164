"""Graph files: who sends to whom, as plain arrays that any tool can write.

An uncompressed .npz with the arrays of `Connectivity`, every integer type taken:

    indptr, indices    CSR by source: inputs first, then neurons; targets are neurons
    inputs             number of sources at the host; 0 if it is not there
    spikes             events per step of each source; 1
    population         number of each neuron's population, ascending from 0, or
    sizes              neurons of each population; one population if neither is there
    names              of the populations
    synapse_bits       of each neuron; weight bits times its synapses

A file of ``scipy.sparse.save_npz`` (CSR, row i has the targets of neuron i) is read too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hdl.params.errors import UserError
from mapping.arrays_file import member_names, read_arrays, write_arrays
from mapping.connectivity import Connectivity

__all__ = ["is_graph_file", "read_graph", "write_graph"]

KEYS = ("indptr", "indices", "inputs", "spikes", "population", "sizes", "names", "synapse_bits")
#: What save_npz of scipy writes besides.
SCIPY = ("format", "shape", "data")
MOST_NEURONS = 2**31 - 1


def is_graph_file(path: Path | str) -> bool:
    """Whether it is an archive with an array `indptr`; its content may still be wrong."""
    return "indptr" in member_names(path)


def write_graph(path: Path | str, graph: Connectivity) -> None:
    """Same graph, same bytes; an interrupted write leaves the old file."""
    arrays = {
        "indptr": graph.indptr,
        "indices": graph.indices,
        "inputs": np.array(graph.inputs),
        "spikes": graph.spikes,
        "sizes": np.bincount(graph.population) if graph.neurons else np.zeros(0, np.int64),
        "synapse_bits": graph.synapse_bits,
    }
    if graph.names:
        arrays["names"] = np.array(graph.names)
    write_arrays(path, arrays)


def read_graph(path: Path | str, weight_bits: int = 8) -> Connectivity:
    """The graph in a file; its arrays are mapped into memory where they can be.

    weight_bits : of a synapse, where the file doesn't say `synapse_bits`. UserError, with the array
    and the first wrong place in it, for whatever is no such graph.
    """
    try:
        return _graph(read_arrays(path), weight_bits)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _graph(arrays: dict[str, np.ndarray], weight_bits: int) -> Connectivity:
    if "format" in arrays and "data" in arrays:
        arrays = _of_scipy(arrays)
    if missing := [key for key in ("indptr", "indices") if key not in arrays]:
        raise ValueError(f"'{missing[0]}' is missing; a graph has {', '.join(KEYS)}")
    if unknown := [key for key in arrays if key not in KEYS]:
        raise ValueError(f"'{unknown[0][:40]}' is unknown; a graph has {', '.join(KEYS)}")
    inputs = _number(arrays["inputs"]) if "inputs" in arrays else 0
    indptr, given = _integers(arrays, "indptr"), _integers(arrays, "indices")
    if not len(indptr):
        raise ValueError("'indptr' is empty; it has one number more than there are sources")
    neurons = len(indptr) - 1 - inputs
    if neurons < 1:
        raise ValueError(f"'indptr' has {len(indptr) - 1} sources, {inputs} of them inputs: "
                         "no neuron is left")  # fmt: skip
    if neurons > MOST_NEURONS:
        raise ValueError(f"'indptr' has {neurons} neurons, at most {MOST_NEURONS} are mapped")
    if indptr[0]:
        raise ValueError(f"'indptr' must start with 0, not {indptr[0]}")
    if (falls := np.diff(indptr) < 0).any():
        at = int(falls.argmax())
        raise ValueError(f"'indptr' falls at {at + 1}: {indptr[at]} to {indptr[at + 1]}")
    if indptr[-1] != len(given):
        raise ValueError(f"'indptr' ends with {indptr[-1]}, 'indices' has {len(given)} numbers")
    indices = _targets(indptr, given, neurons)
    sizes, population = _population(arrays, neurons)
    return Connectivity(
        inputs=inputs,
        indptr=indptr,
        indices=indices,
        spikes=_spikes(arrays, len(indptr) - 1),
        population=population,
        synapse_bits=_synapse_bits(arrays, indices, neurons, weight_bits),
        names=_names(arrays, sizes),
    )


def _of_scipy(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    kind, shape = arrays["format"], arrays.get("shape", np.zeros(0, np.int64))
    if kind.shape or kind.item() not in (b"csr", "csr"):
        raise ValueError("'format' must be csr; convert the matrix with .tocsr()")
    if shape.dtype.kind not in "iu" or shape.shape != (2,) or shape[0] != shape[1]:
        raise ValueError(f"'shape' must be [neurons, neurons], not {shape.tolist()}")
    if "indptr" in arrays and len(arrays["indptr"]) != shape[0] + 1:
        raise ValueError(
            f"'indptr' must have {shape[0] + 1} numbers (shape), not {len(arrays['indptr'])}"
        )
    return {key: array for key, array in arrays.items() if key not in (*SCIPY, "_is_array")}


def _number(array: np.ndarray) -> int:
    if array.dtype.kind not in "iu" or array.size != 1 or array.item() < 0:
        raise ValueError(f"'inputs' must be one whole number from 0, not {_shown(array)}")
    return int(array.item())


def _shown(array: np.ndarray) -> Any:
    return array.item() if array.size == 1 else f"{array.size} of {array.dtype}"


def _integers(arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    """As int64, `indices` as they are."""
    array = arrays[key]
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"'{key}' must be a list of whole numbers, not {_shown(array)}")
    if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
        at = int((array > np.iinfo(np.int64).max).argmax())
        raise ValueError(f"'{key}' at {at} is {array[at]}: too large")
    return array if key == "indices" else array.astype(np.int64, copy=False)


def _targets(indptr: np.ndarray, given: np.ndarray, neurons: int) -> np.ndarray:
    """int32, sorted within each source; ValueError for the first one that is wrong."""
    if given.dtype != np.int32:
        wrong = (given < 0) | (given >= neurons)
        if not wrong.any():
            given = given.astype(np.int32)
    place, sorted_ = _first_wrong(indptr, given, neurons)
    if place < 0 and not sorted_:
        given = given if given.flags.writeable else given.copy()
        _sort(indptr, given)
    if place < 0:
        place = _first_twice(indptr, given)
    if place >= 0:
        source = int(np.searchsorted(indptr, place, side="right")) - 1
        target = int(given[place])
        if 0 <= target < neurons:
            raise ValueError(f"'indices' has target {target} twice from source {source}")
        raise ValueError(
            f"'indices' at {place} (source {source}) is {target}: targets are in 0..{neurons - 1}"
        )
    return given


@njit(cache=True, nogil=True)
def _first_wrong(indptr, indices, neurons):
    """(place of the first target that is no neuron, or -1; whether all sources are sorted)."""
    ordered = True
    for s in range(len(indptr) - 1):
        last = -1
        for k in range(indptr[s], indptr[s + 1]):
            t = indices[k]
            if t < 0 or t >= neurons:
                return k, ordered
            ordered = ordered and t >= last
            last = t
    return -1, ordered


@njit(cache=True, nogil=True)
def _sort(indptr, indices):
    for s in range(len(indptr) - 1):
        indices[indptr[s] : indptr[s + 1]].sort()


@njit(cache=True, nogil=True)
def _first_twice(indptr, indices):
    """Place of the first target that its source has already, or -1; sources are sorted."""
    for s in range(len(indptr) - 1):
        for k in range(indptr[s] + 1, indptr[s + 1]):
            if indices[k] == indices[k - 1]:
                return k
    return -1


def _spikes(arrays: dict[str, np.ndarray], sources: int) -> np.ndarray:
    if "spikes" not in arrays:
        return np.ones(sources, np.float32)
    array = _counted(arrays, "spikes", sources, "biuf")
    wrong = ~(array >= 0) | ~(array <= np.finfo(np.float32).max)
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(f"'spikes' at {at} is {array[at]}: must be a finite number from 0")
    return array.astype(np.float32, copy=False)


def _counted(arrays: dict[str, np.ndarray], key: str, count: int, kinds: str) -> np.ndarray:
    array = arrays[key]
    if array.dtype.kind not in kinds or array.ndim != 1:
        raise ValueError(f"'{key}' must be a list of numbers, not {_shown(array)}")
    if len(array) != count:
        raise ValueError(f"'{key}' must have {count} numbers, not {len(array)}")
    return array


def _population(arrays: dict[str, np.ndarray], neurons: int) -> tuple[int, np.ndarray]:
    """How many populations there are, and each neuron's."""
    if "sizes" in arrays:
        if "population" in arrays:
            raise ValueError("'sizes' and 'population' are both there; leave one out")
        sizes = _integers(arrays, "sizes")
        if (wrong := (sizes < 1) | (sizes > neurons)).any():
            at = int(wrong.argmax())
            raise ValueError(f"'sizes' at {at} is {sizes[at]}: must be in 1..{neurons}")
        if (total := sum(sizes.tolist())) != neurons:
            raise ValueError(f"'sizes' add up to {total}, there are {neurons} neurons")
        return len(sizes), np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    if "population" not in arrays:
        return 1, np.zeros(neurons, np.int32)
    array = _counted(arrays, "population", neurons, "iu")
    steps = np.diff(array.astype(np.int64, copy=False), prepend=0)
    if ((steps != 0) & (steps != 1)).any() or array[0]:
        at = int(
            (((steps != 0) & (steps != 1)) | ((np.arange(neurons) == 0) & (array != 0))).argmax()
        )
        raise ValueError(f"'population' at {at} is {array[at]}: must ascend from 0 without gaps")
    return int(array[-1]) + 1, array.astype(np.int32, copy=False)


def _synapse_bits(
    arrays: dict[str, np.ndarray], indices: np.ndarray, neurons: int, weight_bits: int
) -> np.ndarray:
    if "synapse_bits" not in arrays:
        return np.bincount(indices, minlength=neurons) * weight_bits
    array = _counted(arrays, "synapse_bits", neurons, "iu")
    if (wrong := (array < 0) | (array > 2**40)).any():
        at = int(wrong.argmax())
        raise ValueError(f"'synapse_bits' at {at} is {array[at]}: must be in 0..2**40")
    return array.astype(np.int64, copy=False)


def _names(arrays: dict[str, np.ndarray], populations: int) -> tuple[str, ...]:
    if "names" not in arrays:
        return ()
    array = arrays["names"]
    if array.dtype.kind != "U" or array.ndim != 1 or len(array) != populations:
        raise ValueError(f"'names' must be {populations} texts, not {_shown(array)}")
    names = tuple(array.tolist())
    if len(set(names)) != len(names):
        raise ValueError(f"'names' has {max(names, key=names.count)!r} twice")
    return names
