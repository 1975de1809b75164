"""The C interface of verilated_main.cpp as ctypes sees it."""

import ctypes
import functools
from ctypes import POINTER, c_char_p, c_int, c_int32, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from hdl.params.errors import NervureError

__all__ = ["AssertionFailed", "CPort", "CStream", "CVariable", "SimulationError", "cell", "load"]


class SimulationError(NervureError):
    """The simulation can not go on."""


class AssertionFailed(SimulationError, AssertionError):
    """An assertion of the design failed; the message holds its text, place and cycle."""


class CPort(ctypes.Structure):
    """``nervure::Port``."""

    _fields_ = [
        ("name", c_char_p),
        ("data", c_void_p),
        ("bits", c_uint32),
        ("bytes", c_uint32),
        ("is_input", c_uint32),
        ("reserved", c_uint32),
    ]


class CVariable(ctypes.Structure):
    """``Variable``: a signal (elements 0) or a memory inside the design."""

    _fields_ = [
        ("path", c_char_p),
        ("data", c_void_p),
        ("bits", c_uint32),
        ("bytes", c_uint32),
        ("elements", c_uint32),
        ("low", c_uint32),
    ]


class CStream(ctypes.Structure):
    """``Stream``: what one batch run does, and the counts that it returns."""

    _fields_ = [
        *((f"{side}_{part}", c_int32) for side in ("in", "out")
          for part in ("payload", "valid", "ready")),
        ("in_limbs", c_uint32),
        ("out_limbs", c_uint32),
        ("words", c_void_p),
        ("count", c_uint64),
        ("in_stall", c_uint64),
        ("out_stall", c_uint64),
        ("seed", c_uint64),
        ("mask", c_void_p),
        ("value", c_void_p),
        ("stop_count", c_uint64),
        ("idle_cycles", c_uint64),
        ("deadline", c_uint64),
        ("max_cycles", c_uint64),
        ("consumed", c_uint64),
        ("produced", c_uint64),
        ("cycles", c_uint64),
    ]  # fmt: skip


_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "nv_error": (c_char_p, [c_void_p]),
    "nv_cycles": (c_uint64, [c_void_p]),
    "nv_output": (c_char_p, [c_void_p]),
    "nv_clear_output": (None, [c_void_p]),
    "nv_close": (None, [c_void_p]),
    "nv_ports": (POINTER(CPort), [c_void_p, POINTER(c_uint32)]),
    "nv_set_clock": (None, [c_void_p, c_int32]),
    "nv_eval": (c_int, [c_void_p]),
    "nv_tick": (c_int, [c_void_p, c_uint64]),
    "nv_start_trace": (c_int, [c_void_p, c_char_p]),
    "nv_stop_trace": (c_int, [c_void_p]),
    "nv_variables": (POINTER(CVariable), [c_void_p, POINTER(c_uint32)]),
    "nv_stream_open": (c_void_p, [c_void_p, POINTER(CStream)]),
    "nv_stream_run": (c_int, [c_void_p, POINTER(CStream), c_uint64]),
    "nv_stream_copy": (None, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "nv_stream_close": (None, [c_void_p]),
}


@functools.cache
def load(path: Path) -> Any:
    """The library of a model, its functions typed. Calls release Python's global lock."""
    library: Any = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    # Opening a model may change the working directory for a moment: keep Python's lock meanwhile.
    opening = ctypes.PyDLL(str(path)).nv_open
    opening.restype, opening.argtypes = c_void_p, [c_char_p]
    library.open_model = opening
    return library


class _WideCell:
    """A value of over 64 bits in the model's memory, with the ``value`` of a ctypes integer."""

    __slots__ = ("_bytes",)

    def __init__(self, address: int, size: int) -> None:
        self._bytes = (ctypes.c_uint8 * size).from_address(address)

    @property
    def value(self) -> int:
        return int.from_bytes(self._bytes, "little")

    @value.setter
    def value(self, number: int) -> None:
        memoryview(self._bytes).cast("B")[:] = number.to_bytes(len(self._bytes), "little")


def cell(address: int, size: int) -> Any:
    """An object whose ``value`` is the unsigned integer of ``size`` bytes at an address."""
    narrow = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32, 8: ctypes.c_uint64}
    return narrow[size].from_address(address) if size in narrow else _WideCell(address, size)
