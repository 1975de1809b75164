"""Ports of a running model as attributes, and its clock."""

import ctypes
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sim.harness.verilated_abi import SimulationError

if TYPE_CHECKING:
    from sim.verilated import VerilatedModel

__all__ = ["Clock", "Io", "Port", "close_io", "make_io", "masked"]

_SLICE = 1 << 20  # ticks between looks at Ctrl-C


@dataclass(frozen=True)
class Port:
    """A port of the top module: its Verilog name, width in bits and direction."""

    name: str
    width: int
    is_input: bool


def masked(number: int, bits: int, what: str) -> int:
    """A number as the unsigned pattern of ``bits`` bits; negative ones in two's complement."""
    if -(1 << bits >> 1) <= number < 1 << bits:
        return number & ((1 << bits) - 1)
    raise ValueError(f"{what}: {number} does not fit in {bits} bit(s)")


class Io:
    """Ports of one instance: ``sim.io.a = 3``, ``sim.io.q``, ``sim.io["i__payload"]``.

    Values are unsigned Python integers of any width; a negative one is written in two's
    complement. Reading settles the logic first when an input has changed.
    """

    __slots__ = ()
    _inputs: Mapping[str, tuple[Any, int]] = {}
    _model: Any = None

    def __setattr__(self, name: str, value: int) -> None:
        try:
            target, limit = self._inputs[name]
        except KeyError:
            self._refuse(name)
        number = operator.index(value)
        if not 0 <= number <= limit:
            number = masked(number, limit.bit_length(), f"port {name}")
        target.value = number
        self._model._dirty = True

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse(name)

    def __getitem__(self, name: str) -> int:
        return getattr(self, name)

    def __setitem__(self, name: str, value: int) -> None:
        setattr(self, name, value)

    def _refuse(self, name: str) -> NoReturn:
        self._model._open()
        ports = self._model.ports
        if name in ports:
            raise AttributeError(f"port {name} is an output of {self._model.built.top}: read it")
        raise AttributeError(f"{self._model.built.top} has no port {name}: {', '.join(ports)}")


def make_io(model: "VerilatedModel", cells: Mapping[str, Any]) -> Io:
    """The ports of one instance; each has a class of its own, so that reading is one call."""

    def reader(source: Any) -> Callable[[Io], int]:
        def read(io: Io) -> int:
            if model._dirty:
                model.eval()
            return source.value

        return read

    ports = model.ports
    members: dict[str, Any] = {name: property(reader(cells[name])) for name in ports}
    members["__slots__"] = ()
    members["_model"] = model
    members["_inputs"] = {
        name: (cells[name], (1 << port.width) - 1) for name, port in ports.items() if port.is_input
    }
    return type("Io", (Io,), members)()


def close_io(io: Io, clock: "Clock") -> None:
    """Take the ports and the clock away: their memory is about to be freed."""
    for name in io._model.ports:
        delattr(type(io), name)
    type(io)._inputs = {}
    clock._step = _refuse_step


def _refuse_step(handle: Any) -> int:
    return -1


class Clock:
    """The clock port of one instance.

    Members
    -------
    name : str
        The port.
    """

    def __init__(self, model: "VerilatedModel", name: str) -> None:
        self.name = name
        self._model = model
        # One cycle a call is the hot path of Python loops: no conversion of arguments.
        self._step: Callable[[Any], int] = _refuse_step
        self._handle = ctypes.c_void_p(model._handle)
        number = model._numbers.get(name)
        self._present = number is not None
        if self._present:
            if model.ports[name].width != 1 or not model.ports[name].is_input:
                raise SimulationError(f"{model.built.top}: clock {name} must be a 1-bit input")
            model._library.nv_set_clock(model._handle, number)
            self._step = model._library.nv_step

    def tick(self, n: int = 1) -> None:
        """Run ``n`` cycles: a rising edge that sees the inputs as set, then a falling edge."""
        model = self._model
        if n == 1 and self._step is not _refuse_step:
            if self._step(self._handle):
                raise model._fail()
            model._dirty = False
            return
        handle = model._open()
        self.require()
        if n < 0:
            raise ValueError(f"clock.tick: cycles must be at least 0, not {n}")
        while n > 0:  # in slices, so that Ctrl-C works
            model._check(model._library.nv_tick(handle, min(n, _SLICE)))
            n -= _SLICE
        model._dirty = False

    def require(self) -> None:
        """Raise SimulationError when the design has no such port."""
        if not self._present:
            ports = ", ".join(self._model.ports)
            raise SimulationError(
                f"{self._model.built.top} has no clock port {self.name}: "
                f"name it in new(clock=...); its ports are {ports}"
            )
