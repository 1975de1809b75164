"""Read the pickle of a torch state_dict without unpickling it.

A pickle is a program for a stack machine that may call anything. This reads its opcodes one by one
(`pickletools`, which runs nothing) with a machine that knows dictionaries, tuples, numbers and
strings, and the five names that torch.save writes for a dictionary of tensors. Any other name or
opcode ends the reading, so no content of the file can run code.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["STORAGES", "Storage", "Tensor", "read_pickle"]

#: Storage classes of torch and what their numbers are in numpy ("bf": bfloat16).
STORAGES = {
    "torch FloatStorage": "f4",
    "torch DoubleStorage": "f8",
    "torch HalfStorage": "f2",
    "torch BFloat16Storage": "bf",
    "torch LongStorage": "i8",
    "torch IntStorage": "i4",
    "torch ShortStorage": "i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
    "torch BoolStorage": "b1",
    "torch ComplexFloatStorage": "c8",
    "torch ComplexDoubleStorage": "c16",
}

_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_KNOWN = {_DICT, _TENSOR, _PARAMETER, *STORAGES}

_SAVE = "save a dictionary of tensors: torch.save(model.state_dict(), path)"

_PLAIN = {
    "BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Storage:
    """`count` numbers of numpy type `kind` in the archive's file data/`key`."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, in numbers of it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A class or function that the pickle names."""

    name: str


def read_pickle(data: bytes) -> dict[str, Any]:
    """The dictionary that a pickle holds; its values are Tensors and plain things.

    Raises ValueError, with what was found and what to do, for all that is not such a dictionary.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                break
            machine.step(opcode.name, argument)
        result = machine.pop()
    except IndexError:
        raise ValueError("its pickle takes more from the stack than it put there") from None
    if not isinstance(result, dict):
        raise ValueError(f"holds {_kind(result)}, not a dictionary; {_SAVE}")
    return result


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        return self.stack.pop()

    def marked(self) -> list[Any]:
        """What stands above the last mark, which goes."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def gather(self) -> None:
        items = self.marked()
        self.stack.append(tuple(items))

    def step(self, name: str, argument: Any) -> None:
        if name in _PLAIN:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            count = _TUPLES[name]
            if len(self.stack) < count:
                raise IndexError
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(
                f"its pickle has the opcode {name}, which no state_dict needs; {_SAVE}"
            )

    def name(self, name: str) -> None:
        if name not in _KNOWN:
            shown = name.replace(" ", ".")[:80]
            raise ValueError(f"its pickle names {shown!r}, which no state_dict needs; {_SAVE}")
        self.stack.append(_Name(name))

    def recall(self, number: int) -> None:
        if number not in self.memo:
            raise ValueError(f"its pickle recalls item {number}, which it did not store")
        self.stack.append(self.memo[number])

    def store(self, number: int | None) -> None:
        self.memo[len(self.memo) if number is None else number] = self.stack[-1]

    def put(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise ValueError("its pickle sets items of what is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str):
                raise ValueError(f"a key is {_kind(key)}, not a name; {_SAVE}")
            target[key] = value

    def item(self) -> None:
        value, key = self.pop(), self.pop()
        self.put([key, value])

    def storage(self) -> None:
        match self.pop():
            case ("storage", _Name(name), str(key), str(), int(count)) if name in STORAGES:
                self.stack.append(Storage(STORAGES[name], key, count))
            case _:
                raise ValueError("its pickle refers to a storage in an unknown way")

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        name = function.name if isinstance(function, _Name) else ""
        match name, arguments:
            case (n, ()) if n == _DICT:
                self.stack.append({})
            case (
                n,
                (Storage() as storage, int(offset), tuple(size), tuple(stride), bool(), _),
            ) if n == _TENSOR:
                numbers = (offset, *size, *stride)
                if len(size) != len(stride) or not all(_natural(x) for x in numbers):
                    raise ValueError("a tensor has no proper shape")
                self.stack.append(Tensor(storage, offset, size, stride))
            case (n, (Tensor() as tensor, bool(), _)) if n == _PARAMETER:
                self.stack.append(tensor)
            case _:
                shown = name.replace(" ", ".") or _kind(function)
                raise ValueError(f"its pickle calls {shown} in an unknown way; {_SAVE}")

    def build(self) -> None:
        """Attributes of a dictionary (`_metadata`): dropped."""
        self.pop()
        if not isinstance(self.stack[-1], dict):
            raise ValueError(f"its pickle sets attributes of {_kind(self.stack[-1])}; {_SAVE}")

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def imported(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(f"{module} {name}" if isinstance(name, str) and isinstance(module, str) else "?")


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "GLOBAL": lambda m, name: m.name(name),
    "STACK_GLOBAL": lambda m, _: m.imported(),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "MARK": lambda m, _: m.mark(),
    "TUPLE": lambda m, _: m.gather(),
    "BINPUT": lambda m, number: m.store(number),
    "LONG_BINPUT": lambda m, number: m.store(number),
    "MEMOIZE": lambda m, _: m.store(None),
    "BINGET": lambda m, number: m.recall(number),
    "LONG_BINGET": lambda m, number: m.recall(number),
    "BINPERSID": lambda m, _: m.storage(),
    "REDUCE": lambda m, _: m.call(),
    "SETITEM": lambda m, _: m.item(),
    "SETITEMS": lambda m, _: m.put(m.marked()),
    "BUILD": lambda m, _: m.build(),
}


def _natural(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < 1 << 48


def _kind(x: Any) -> str:
    """What something is, for messages."""
    if isinstance(x, _Name):
        return f"the name {x.name.replace(' ', '.')}"
    kinds = {dict: "a dictionary", tuple: "a tuple", str: "a string", Tensor: "a tensor",
             Storage: "a storage"}  # fmt: skip
    return kinds.get(type(x), f"a {type(x).__name__}")
