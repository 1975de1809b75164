"""How functions that only compiled code calls are compiled: without entries for Python and C.

Each entry would take part of a second more when the machine code is made.
"""

from typing import Any

from numba import njit

__all__ = ["inside"]

OPTIONS: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}  # fmt: skip

inside = njit(**OPTIONS)
