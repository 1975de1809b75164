"""An emulated array behind its controller."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.crossbar.array import Array
from hdl.crossbar.command import ANSWER, COMMAND
from hdl.crossbar.controller import Controller
from hdl.crossbar.ports import array_config
from hdl.params.crossbar.array import ArrayMemory
from hdl.params.crossbar.controller import ControllerMemory, ControllerParams

__all__ = ["ControlledArray"]


class ControlledArray(wiring.Component):
    """A `Controller` and the `Array` that it drives; a real array would take the latter's place.

    Parameters
    ----------
    params : the controller and its array.
    images : items of an ArrayMemory or a ControllerMemory at first.

    Members
    -------
    i, o, config : of the controller.
    """

    def __init__(
        self,
        params: ControllerParams,
        images: dict[ArrayMemory | ControllerMemory, list[int]] | None = None,
    ):
        self.params, self.images = params, dict(images or {})
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "o": Out(stream.Signature(ANSWER)),
                "config": In(array_config(params.array)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        images: dict[type, dict] = {ArrayMemory: {}, ControllerMemory: {}}
        for memory, items in self.images.items():
            images[type(memory)][memory] = items
        m.submodules.controller = controller = Controller(self.params, images[ControllerMemory])
        m.submodules.array = array = Array(self.params.array, images[ArrayMemory])
        connect(m, controller.array, array)
        for name in ("i", "o", "config"):
            connect(m, flipped(getattr(self, name)), getattr(controller, name))
        return m
