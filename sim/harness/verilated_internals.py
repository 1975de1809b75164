"""Signals and memories inside a running model."""

import ctypes
import operator
import re
from collections.abc import Iterator, Mapping
from ctypes import c_uint32
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.harness.verilated_abi import CVariable, cell
from sim.harness.verilated_ports import masked

if TYPE_CHECKING:
    from sim.verilated import VerilatedModel

__all__ = ["Internals", "MemoryWords"]


class MemoryWords:
    """A memory inside the design: ``memory[3]``, ``memory[3] = 5``, ``len(memory)``.

    Members
    -------
    path : str
        Dotted path of the memory.
    width : int
        Bits in a word.
    """

    def __init__(self, model: "VerilatedModel", path: str, variable: CVariable) -> None:
        self.path, self.width = path, int(variable.bits)
        self._model, self._data, self._bytes = model, int(variable.data), int(variable.bytes)
        self._count, self._low = int(variable.elements), int(variable.low)

    def __len__(self) -> int:
        return self._count

    def _cell(self, index: int) -> Any:
        self._model._open()
        place = operator.index(index) - self._low
        if not 0 <= place < self._count:
            last = self._low + self._count - 1
            raise IndexError(f"{self.path}: index {index} is not in {self._low}..{last}")
        return cell(self._data + place * self._bytes, self._bytes)

    def __getitem__(self, index: int) -> int:
        self._model._settle()
        return self._cell(index).value

    def __setitem__(self, index: int, value: int) -> None:
        self._cell(index).value = masked(operator.index(value), self.width, f"{self.path}[{index}]")
        self._model._dirty = True

    def __iter__(self) -> Iterator[int]:
        return (self[self._low + place] for place in range(self._count))

    def _view(self) -> NDArray[Any]:
        """The model's own storage: [words], or [words, 32-bit limbs] over 64 bits."""
        self._model._open()
        raw = (ctypes.c_uint8 * (self._bytes * self._count)).from_address(self._data)
        flat = np.ctypeslib.as_array(raw).reshape(self._count, self._bytes)
        if self._bytes in (1, 2, 4, 8):
            return flat.view(f"<u{self._bytes}")[:, 0]
        return flat.view("<u4")

    def to_numpy(self) -> NDArray[Any]:
        """A copy of all words: unsigned [words], or uint32 limbs [words, limbs] over 64 bits."""
        self._model._settle()
        return self._view().copy()

    def load(self, words: ArrayLike) -> None:
        """Write all words, in the shape and unsigned values that ``to_numpy`` gives."""
        view, array = self._view(), np.asarray(words)
        if array.shape != view.shape or array.dtype.kind not in "biu":
            raise ValueError(
                f"{self.path}: needs integers of shape {view.shape}, "
                f"not {array.dtype} {array.shape}"
            )
        if view.ndim == 1 and (array.min() < 0 or int(array.max()) >> self.width):
            raise ValueError(f"{self.path}: a word does not fit in {self.width} bit(s)")
        view[...] = array
        self._model._dirty = True


class Internals(Mapping[str, Any]):
    """Signals and memories by dotted path below the top module: ``internals["fifo.level"]``.

    A signal reads as an integer and may be assigned; a register keeps the value, while
    combinational logic overwrites its own. A memory is a ``MemoryWords``. Names are those of the
    Verilog; the unnamed nets of Yosys (``$1``) are left out.
    """

    def __init__(self, model: "VerilatedModel", top: str) -> None:
        self._model = model
        count = c_uint32()
        rows = model._library.nv_variables(model._open(), ctypes.byref(count))[: count.value]
        self._found: dict[str, tuple[Any, int]] = {}
        for row in sorted(rows, key=lambda row: row.path):
            path = re.sub(r"\\(\S+) ", r"\1", row.path.decode()).removeprefix(f"{top}.")
            if "$" in path:
                continue
            what = MemoryWords(model, path, row) if row.elements else cell(row.data, row.bytes)
            self._found[path] = (what, int(row.bits))

    def _entry(self, path: str) -> tuple[Any, int]:
        self._model._open()
        try:
            return self._found[path]
        except KeyError:
            near = [p for p in self._found if p.split(".")[-1] == path.split(".")[-1]]
            hint = f"did you mean {', '.join(near[:5])}" if near else "see list(sim.internals)"
            raise KeyError(f"{self._model.built.top} has no signal {path}: {hint}") from None

    def __getitem__(self, path: str) -> Any:
        what, _ = self._entry(path)
        if isinstance(what, MemoryWords):
            return what
        self._model._settle()
        return what.value

    def __setitem__(self, path: str, value: int) -> None:
        what, bits = self._entry(path)
        if isinstance(what, MemoryWords):
            raise TypeError(f"{path} is a memory: assign {path}[index], or call load(words)")
        what.value = masked(operator.index(value), bits, path)
        self._model._dirty = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def width(self, path: str) -> int:
        """Bits of a signal, or of a word of a memory."""
        return self._entry(path)[1]
