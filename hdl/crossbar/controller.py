"""The controller of an array: takes commands, checks them, lets its parts do them, answers."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import times
from hdl.crossbar.books import Books
from hdl.crossbar.calibrator import Calibrator
from hdl.crossbar.command import ANSWER, COMMAND, LOOKS, exists
from hdl.crossbar.planes import Planes
from hdl.crossbar.ports import array_config, array_signature
from hdl.crossbar.product import Product
from hdl.crossbar.programmer import LOOKUP, Programmer
from hdl.crossbar.share import share_array
from hdl.memory import configure, registered
from hdl.params.crossbar.controller import (
    Command,
    ControllerMemory,
    ControllerParams,
    Status,
)
from hdl.params.crossbar.dendrites import FACTOR_BITS
from hdl.params.neuron import bits_for

__all__ = ["Controller"]


class Controller(wiring.Component):
    """The controller of hdl/params/crossbar/controller.py; its array is outside.

    A command is taken while `i.ready`, which is low until its last answer is taken, and after a
    reset until Books are ready. In the same cycles configuration is taken, the array's passed on;
    in others it is lost. A reset leaves targets, factors, inputs and kept readouts.

    Every command ends, whatever the array gives: PROGRAM, the longest, after the pulses and
    verifies that Programmer states, each of them after at most `patience` cycles.

    Parameters
    ----------
    params : the controller and its array.
    images : items of a ControllerMemory at first; missing ones are 0, of FACTOR `unit`.

    Members
    -------
    i : a COMMAND.
    o : an ANSWER.
    config : writes an item of an ArrayMemory or a ControllerMemory.
    array : drives the array.
    """

    def __init__(
        self, params: ControllerParams, images: dict[ControllerMemory, list[int]] | None = None
    ):
        self.params, self.images = params, dict(images or {})
        super().__init__(
            {
                "i": In(stream.Signature(COMMAND)),
                "o": Out(stream.Signature(ANSWER)),
                "config": In(array_config(params.array)),
                "array": In(array_signature(params.array)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, a, c = self.params, self.params.array, self.params.crossbar
        self.late = Signal()  # the array doesn't answer
        self.command = Signal(COMMAND, reset_less=True)
        self.bank = Signal(bits_for(a.banks))
        calibrates = c.sampling == "none"
        self.programmer, self.product = Programmer(p), Product(a, c, calibrates=calibrates)
        m.submodules.programmer = ResetInserter(self.late)(self.programmer)
        m.submodules.product = ResetInserter(self.late)(self.product)
        m.submodules.books = self.books = Books(p)
        m.submodules.planes = self.planes = Planes(a, c, self.images.get(ControllerMemory.INPUT))
        self.calibrator = None
        if calibrates:
            m.submodules.calibrator = self.calibrator = Calibrator(p)
        self.programs = Signal()
        share_array(m, self.array, self.programmer.array, self.product.array, self.programs)
        self._connect_memories(m)
        self._connect_books(m)
        self._commands(m)
        return m

    def _connect_memories(self, m):
        """Configuration, targets, factors, inputs."""
        p, a, c, images = self.params, self.params.array, self.params.crossbar, self.images
        programmer, product, calibrator = self.programmer, self.product, self.calibrator
        config = array_config(a).create()
        for name in ("memory", "address", "data"):
            m.d.comb += getattr(config, name).eq(getattr(self.config, name))
            m.d.comb += getattr(self.array.config, name).eq(getattr(config, name))
        m.d.comb += [
            config.en.eq(self.config.en & self.i.ready),
            self.array.config.en.eq(config.en & (config.memory < min(ControllerMemory))),
            self.planes.en.eq(config.en & (config.memory == ControllerMemory.INPUT)),
            self.planes.row.eq(config.address),
            self.planes.value.eq(config.data),
            self.planes.plane.eq(product.plane),
            product.word.eq(self.planes.word),
        ]
        count, items = a.blocks * p.places * a.tiles * a.rows, images.get(ControllerMemory.TARGET)
        target, port = registered(
            m, "targets", programmer.at, 1, depth=max(count, 2), bits=a.cell_bits, init=items
        )
        m.d.comb += programmer.target.eq(target)
        configure(m, port, config, ControllerMemory.TARGET)
        count, items = a.banks * c.neurons, list(images.get(ControllerMemory.FACTOR, []))
        self.factor_at, self.first_factor = Signal(bits_for(count)), Signal(bits_for(count))
        items += [p.unit] * (count - len(items))
        self.factor, port = registered(
            m, "factors", self.factor_at, 1, depth=max(count, 2), bits=FACTOR_BITS, init=items
        )
        configure(m, port, config, ControllerMemory.FACTOR)
        m.d.comb += [self.factor_at.eq(product.factor_at), product.factor.eq(self.factor)]
        if calibrator:
            with m.If(calibrator.write):
                m.d.comb += [
                    port.en.eq(1),
                    port.addr.eq(calibrator.at),
                    port.data.eq(calibrator.factor),
                ]

    def _connect_books(self, m):
        """Books look at what the programmer or the product names, or else at the command's."""
        p, books, programmer = self.params, self.books, self.programmer
        command, product = self.command, self.product
        self.first_place, self.looks = Signal.like(books.logical), Signal()
        turn = Signal(bits_for(p.crossbar.devices))
        with m.If(programmer.turned):
            m.d.sync += turn.eq(Mux(turn == p.crossbar.devices - 1, 0, turn + 1))
        m.d.comb += [
            books.block.eq(command.block),
            books.logical.eq(Mux(self.programs, programmer.logical, product.logical)),
            books.bank.eq(Mux(self.programs, programmer.array.bank, self.bank)),
            books.column.eq(Mux(self.programs, programmer.array.column, command.column)),
            books.move.eq(programmer.move),
            books.settle.eq(programmer.settle),
            books.failures.eq(programmer.failures),
            books.worn.eq(programmer.worn),
            programmer.physical.eq(books.physical),
            programmer.spare.eq(books.spare),
            programmer.turn.eq(turn),
            product.physical.eq(books.physical),
            product.block.eq(command.block),
            product.bank.eq(self.bank),
            programmer.bank.eq(self.bank),
            programmer.row.eq(command.row),
            programmer.column.eq(command.column),
            programmer.epoch.eq(command.value >> (command.op == Command.UPDATE)),
            programmer.first.eq(self.first_place),
        ]
        with m.If(self.looks):
            m.d.comb += [
                books.logical.eq(self.first_place),
                self.factor_at.eq(self.first_factor),
            ]

    def _commands(self, m):
        p, a, c = self.params, self.params.array, self.params.crossbar
        command, array, product, books = self.command, self.array, self.product, self.books
        programmer, calibrator = self.programmer, self.calibrator
        op, answer = command.op, Signal(ANSWER)
        place, count = Signal(bits_for(c.neurons)), Signal(range(8))
        first_block = Signal.like(self.first_place)
        offset = Signal.like(self.first_place)
        patience = Signal(p.patience.bit_length())
        working = Signal()

        def give_up():
            """In a state that waits for the array."""
            m.d.comb += working.eq(1)
            with m.If(self.late):
                m.d.sync += [answer.status.eq(Status.TIMEOUT), answer.value.eq(0)]
                m.d.sync += self.programs.eq(0)
                m.next = "Answer"

        m.d.sync += patience.eq(Mux(working & ~array.ready, patience + 1, 0))
        m.d.comb += [
            self.late.eq(patience[-1]),
            self.o.payload.eq(answer),
            product.place.eq(place),
        ]

        # Addresses of a command's things, known 2 cycles behind it.
        block, there = command.block[: bits_for(a.blocks)], exists(m, p, command)
        good = Signal()
        m.d.sync += [
            good.eq(there),
            self.bank.eq(
                times(block, a.tiles)
                + Mux(op == Command.PROGRAM, 0, command.tile[: bits_for(a.tiles)])
            ),
            first_block.eq(times(block, p.places)),
            offset.eq(0),
            self.first_factor.eq(
                times(self.bank, c.neurons) + Mux(op == Command.FACTOR, command.column, 0)
            ),
            self.first_place.eq(first_block + offset),
            programmer.first_target.eq(times(block, p.places * a.tiles * a.rows)),
        ]
        with m.If(op == Command.MAP):
            m.d.sync += offset.eq(command.column)
        with m.If(op == Command.UPDATE):
            m.d.sync += offset.eq(times(command.column, c.width) + command.value[0])

        if calibrator:
            m.d.comb += [
                calibrator.first.eq(self.first_factor),
                calibrator.readout.eq(product.acc),
                calibrator.reference.eq(op == Command.REFERENCE),
                calibrator.column.eq(op == Command.COLUMN),
            ]

        with m.FSM():
            with m.State("Rest"):
                m.d.comb += self.i.ready.eq(books.ready)
                m.d.sync += [command.eq(self.i.payload), answer.eq(0), count.eq(0), place.eq(0)]
                with m.If(self.i.valid & self.i.ready):
                    m.next = "Check"
            with m.State("Check"):
                m.d.sync += count.eq(count + 1)
                with m.If(count == 2):
                    m.next = "Begin"
            with m.State("Begin"):
                m.d.sync += count.eq(0)
                with m.If(~good):
                    m.d.sync += answer.status.eq(Status.ERROR)
                    m.next = "Answer"
                with m.Else(), m.Switch(op):
                    with m.Case(Command.RESTART, Command.AGE):
                        m.next = "Order"
                    with m.Case(Command.VERIFY, Command.PROGRAM, Command.UPDATE):
                        m.d.comb += [
                            programmer.verify.eq(op == Command.VERIFY),
                            programmer.program.eq(op == Command.PROGRAM),
                            programmer.update.eq(op == Command.UPDATE),
                        ]
                        m.d.sync += self.programs.eq(1)
                        m.next = "Program"
                    with m.Case(*LOOKS):
                        m.next = "Look"
                    with m.Default():
                        m.d.comb += self.planes.turn.eq(op == Command.PRODUCT)
                        m.next = "Product"
            with m.State("Order"):
                with m.If(array.ready):
                    m.d.comb += [array.age.eq(op == Command.AGE), array.restart.eq(~array.age)]
                    m.next = "Wait"
                give_up()
            with m.State("Wait"):
                with m.If(array.ready):
                    m.next = "Answer"
                give_up()
            with m.State("Program"):
                m.d.sync += answer.value.eq(programmer.value)
                with m.If(programmer.done):
                    m.d.sync += self.programs.eq(0)
                    m.d.sync += answer.status.eq(Mux(programmer.failed, Status.FAILED, Status.DONE))
                    m.next = "Answer"
                give_up()
            with m.State("Look"):
                m.d.comb += self.looks.eq(1)
                m.d.sync += count.eq(count + 1)
                with m.Switch(op):
                    for which, value in (
                        (Command.FAILED, books.failed),
                        (Command.MOVED, books.moved),
                        (Command.WEAR, books.wear),
                        (Command.FACTOR, self.factor),
                        (Command.MAP, books.physical),
                    ):
                        with m.Case(which):
                            m.d.sync += answer.value.eq(value)
                with m.If(count == LOOKUP):
                    m.next = "Answer"
            with m.State("Product"), m.If(~self.planes.busy & product.ready):
                m.d.comb += [
                    product.start.eq(1),
                    product.fresh.eq(1),
                    product.calibrate.eq(op != Command.PRODUCT),
                ]
                m.next = "Drain"
            with m.State("Drain"):
                with m.If(~product.busy):
                    m.next = "Place"
                    if calibrator:
                        with m.If(op != Command.PRODUCT):
                            m.d.comb += calibrator.start.eq(1)
                            m.next = "Calibrate"
                give_up()
            with m.State("Place"):
                m.d.sync += [count.eq(count + 1), answer.value.eq(product.acc >> c.fraction)]
                with m.If(count == LOOKUP):
                    m.next = "Answer"
            if calibrator:
                with m.State("Calibrate"):
                    m.d.comb += product.place.eq(calibrator.place)
                    m.d.sync += answer.value.eq(calibrator.value)
                    with m.If(calibrator.done):
                        m.next = "Answer"
            with m.State("Answer"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [count.eq(0), place.eq(place + 1)]
                    m.next = "Rest"
                    more = (op == Command.PRODUCT) & (answer.status == Status.DONE)
                    with m.If(more & (place != c.neurons - 1)):
                        m.next = "Place"
        return m
