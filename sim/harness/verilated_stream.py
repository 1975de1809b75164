"""The batch loop: arrays in and out of a stream-shaped design, every cycle in C++."""

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.harness.verilated_abi import CStream, SimulationError

__all__ = ["SimulationStalled", "StopOn", "StreamRun", "run_stream"]

_RUNNING, _MATCHED, _IDLE, _QUIET, _TOO_LONG = range(5)
_SLICE = 1 << 18  # cycles between looks at Ctrl-C and the progress callback

UInts = NDArray[np.uint64]


class SimulationStalled(SimulationError, TimeoutError):
    """A stream run did not end. ``run`` holds what came out until then."""

    def __init__(self, message: str, run: "StreamRun") -> None:
        super().__init__(message)
        self.run = run


@dataclass(frozen=True)
class StopOn:
    """End a run after ``count`` output words with ``word & mask == value``.

    Parameters
    ----------
    mask, value : int
        Over the whole payload. The defaults match every word.
    count : int
        How many such words to wait for; at least 1.
    """

    mask: int = 0
    value: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"StopOn.count must be at least 1, not {self.count}")
        if self.mask < 0 or self.value < 0 or self.value & ~self.mask:
            raise ValueError(f"StopOn.value {self.value:#x} has bits outside mask {self.mask:#x}")


@dataclass(frozen=True)
class StreamRun:
    """What a batch run did. Cycles count from 0 at the start of the run.

    Members
    -------
    words_out : uint64 [words, limbs]
        Output payloads in order, little-endian limbs.
    cycles : int
        Cycles that the run took.
    in_cycle, out_cycle : uint64 [words]
        The cycle of each transfer. A transfer in cycle n is one at the rising edge that ends it.
    """

    words_out: UInts
    cycles: int
    in_cycle: UInts
    out_cycle: UInts

    @property
    def consumed(self) -> int:
        """Input words that the design took."""
        return len(self.in_cycle)

    @property
    def produced(self) -> int:
        """Output words that it gave."""
        return len(self.out_cycle)

    def ints(self) -> list[int]:
        """The output words as Python integers of any width."""
        if self.words_out.shape[1] == 1:
            return self.words_out[:, 0].tolist()
        return [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in self.words_out]


class Streamable(Protocol):
    """The part of VerilatedModel that a run needs."""

    _library: Any

    def _open(self) -> int: ...

    def _fail(self) -> SimulationError: ...


def _limbs(bits: int) -> int:
    return max(1, -(-bits // 64))


def _rows(words: ArrayLike, bits: int, port: str) -> UInts:
    """Input words as a contiguous [n, limbs] array, checked against the port's width."""
    array = np.asarray(words)
    limbs = _limbs(bits)
    if array.size == 0:
        return np.zeros((0, limbs), dtype=np.uint64)
    if array.dtype.kind not in "biuO" or (array.dtype.kind != "u" and array.min() < 0):
        raise ValueError(f"{port}: words must be integers from 0; mask or view them as unsigned")
    if array.dtype.kind == "O":  # Python integers of any width
        if array.ndim != 1 or max(array) >> (64 * limbs):
            raise ValueError(f"{port}: a word does not fit in {bits} bits")
        array = np.stack([_split(int(word), limbs) for word in array])
    if array.ndim == 1:
        array = np.pad(array.astype(np.uint64)[:, None], ((0, 0), (0, limbs - 1)))
    rows = np.ascontiguousarray(array, dtype=np.uint64)
    if rows.ndim != 2 or rows.shape[1] != limbs:
        raise ValueError(
            f"{port}: {bits} bits need {limbs} uint64 limb(s) a word, not shape {rows.shape}"
        )
    if bits % 64 or bits == 0:
        over = np.flatnonzero(rows[:, -1] >> np.uint64(bits % 64))
        if over.size:
            raise ValueError(f"{port}: word {over[0]} does not fit in {bits} bits")
    return rows


def _threshold(name: str, probability: float) -> int:
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"{name} must be in 0 <= p < 1, not {probability}")
    return int(probability * 2**64)


def _split(number: int, limbs: int) -> UInts:
    return np.frombuffer(number.to_bytes(8 * limbs, "little"), dtype=np.uint64)


def run_stream(
    sim: Streamable,
    ports: Mapping[str, tuple[int, int]],
    words_in: ArrayLike,
    *,
    until: StopOn | int | None,
    i: str | None,
    o: str | None,
    stall_in: float,
    stall_out: float,
    seed: int,
    idle_cycles: int,
    deadline: int | None,
    max_cycles: int,
    progress: Callable[[int, int, int], None] | None,
) -> StreamRun:
    """Body of ``VerilatedModel.stream``; ``ports`` maps a name to (number, bits)."""
    stream = CStream()
    bits = {}
    for side, prefix in (("in", i), ("out", o)):
        for part in ("payload", "valid", "ready"):
            number, width = ports.get(f"{prefix}__{part}", (-1, 0)) if prefix else (-1, 0)
            setattr(stream, f"{side}_{part}", number)
            bits[side, part] = width
        if prefix and _absent(stream, side):
            raise ValueError(
                f"stream '{prefix}': no port {prefix}__payload or {prefix}__valid; "
                f"the design has {', '.join(ports)}"
            )
    rows = _rows(words_in, bits["in", "payload"], f"{i}__payload")
    if i is None and len(rows):
        raise ValueError("words_in needs an input stream: give the prefix of its ports as i")
    stop = StopOn(count=until) if isinstance(until, int) else until
    stream.in_limbs, stream.out_limbs = rows.shape[1], _limbs(bits["out", "payload"])
    mask = _split(stop.mask if stop else 0, stream.out_limbs)
    value = _split(stop.value if stop else 0, stream.out_limbs)
    stream.words, stream.count = rows.ctypes.data, len(rows)
    stream.mask, stream.value = mask.ctypes.data, value.ctypes.data
    stream.stop_count = stop.count if stop else 0
    stream.in_stall = _threshold("stall_in", stall_in)
    stream.out_stall = _threshold("stall_out", stall_out)
    stream.seed = seed & (2**64 - 1)
    stream.idle_cycles, stream.deadline, stream.max_cycles = idle_cycles, deadline or 0, max_cycles
    library = sim._library
    job = library.nv_stream_open(sim._open(), ctypes.byref(stream))
    try:
        outcome = _RUNNING
        while outcome == _RUNNING:
            outcome = library.nv_stream_run(job, ctypes.byref(stream), _SLICE)
            if progress is not None and outcome == _RUNNING:
                progress(stream.cycles, stream.consumed, stream.produced)
        run = _collect(library, job, stream)
    finally:
        library.nv_stream_close(job)
    if outcome in (_MATCHED, _IDLE):
        return run
    counts = f"consumed {run.consumed} of {len(rows)} words, produced {run.produced}"
    if outcome == _QUIET:
        raise SimulationStalled(
            f"stalled at cycle {run.cycles}: no transfer for {deadline} cycles; {counts}", run
        )
    if outcome == _TOO_LONG:
        raise SimulationStalled(f"not done after {max_cycles} cycles (max_cycles); {counts}", run)
    raise sim._fail()


def _absent(stream: CStream, side: str) -> bool:
    """Whether the design has neither payload nor valid on a side."""
    return getattr(stream, f"{side}_payload") < 0 and getattr(stream, f"{side}_valid") < 0


def _collect(library: Any, job: int, stream: CStream) -> StreamRun:
    out = np.zeros((stream.produced, stream.out_limbs), dtype=np.uint64)
    out_cycle = np.zeros(stream.produced, dtype=np.uint64)
    in_cycle = np.zeros(stream.consumed, dtype=np.uint64)
    arrays = (out, out_cycle, in_cycle)
    library.nv_stream_copy(job, *(array.ctypes.data for array in arrays))
    return StreamRun(out, int(stream.cycles), in_cycle, out_cycle)
