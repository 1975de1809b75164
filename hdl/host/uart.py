"""Host words over a serial line."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hdl.params.uart import UartParams

__all__ = ["Uart", "UartReceiver", "UartTransmitter"]


class UartReceiver(wiring.Component):
    """Bytes from a serial line; each start bit is checked again at its middle.

    Members
    -------
    rx : the line, idle high; synchronised here.
    data, done : a byte, for the cycle that `done` is high.
    """

    def __init__(self, params: UartParams):
        self.params = params
        super().__init__({"rx": In(1, init=1), "data": Out(8), "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        divisor = self.params.divisor
        line = Signal(init=1)
        m.submodules += FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(divisor))
        bits = Signal(range(10))
        with m.FSM():
            with m.State("Wait-Start"):
                m.d.sync += [timer.eq(divisor // 2 - 1), bits.eq(0)]
                with m.If(~line):
                    m.next = "Sample"
            with m.State("Sample"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(divisor - 1), bits.eq(bits + 1)]
                    with m.If((bits != 0) & (bits != 9)):
                        m.d.sync += self.data.eq(Cat(self.data[1:], line))
                    with m.If((bits == 0) & line):
                        m.next = "Wait-Start"
                    with m.If(bits == 9):
                        m.d.comb += self.done.eq(line)  # a low stop bit: not a byte
                        m.next = "Wait-Start"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line.

    Members
    -------
    i : bytes; `ready` while the line is idle.
    tx : the line, idle high.
    """

    def __init__(self, params: UartParams):
        self.params = params
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        divisor = self.params.divisor
        timer = Signal(range(divisor))
        shift = Signal(9, init=0x1FF)
        left = Signal(range(11))
        m.d.comb += self.i.ready.eq(left == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(left == 0):
            m.d.sync += timer.eq(divisor - 1)
            with m.If(self.i.valid):
                m.d.sync += [self.tx.eq(0), shift.eq(Cat(self.i.payload, 1)), left.eq(10)]
        with m.Elif(timer == 0):
            m.d.sync += [
                timer.eq(divisor - 1),
                self.tx.eq(shift[0]),
                shift.eq(Cat(shift[1:], 1)),
                left.eq(left - 1),
            ]
        return m


class Uart(wiring.Component):
    """Words to and from a serial line (hdl/params/uart.py says how they travel).

    Members
    -------
    rx, tx : the lines.
    o, i : words received, words to send.
    """

    def __init__(self, params: UartParams):
        self.params = params
        word = stream.Signature(params.word_bits)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "o": Out(word), "i": In(word)})

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.receiver = receiver = UartReceiver(p)
        m.submodules.transmitter = transmitter = UartTransmitter(p)
        m.submodules.buffer = buffer = SyncFIFOBuffered(width=p.word_bits, depth=p.depth)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]

        # Bytes to words.
        got = Signal(8 * p.word_bytes)
        count = Signal(range(p.word_bytes + 1))
        quiet = Signal(range(p.silence * 10 * p.divisor + 1))
        m.d.comb += [
            buffer.w_data.eq(got),
            buffer.w_en.eq(count == p.word_bytes),
            self.o.payload.eq(buffer.r_data),
            self.o.valid.eq(buffer.r_rdy),
            buffer.r_en.eq(self.o.ready),
        ]
        with m.If(count == p.word_bytes):
            m.d.sync += count.eq(0)
        with m.Elif(receiver.done):
            m.d.sync += [got.eq(Cat(got, receiver.data)[8:]), count.eq(count + 1), quiet.eq(0)]
        with m.Elif(quiet == p.silence * 10 * p.divisor):
            m.d.sync += count.eq(0)
        with m.Else():
            m.d.sync += quiet.eq(quiet + 1)

        # Words to bytes.
        sending = Signal(8 * p.word_bytes)
        left = Signal(range(p.word_bytes + 1))
        m.d.comb += [
            self.i.ready.eq(left == 0),
            transmitter.i.payload.eq(sending[:8]),
            transmitter.i.valid.eq(left != 0),
        ]
        with m.If(left == 0):
            m.d.sync += sending.eq(self.i.payload)
            with m.If(self.i.valid):
                m.d.sync += left.eq(p.word_bytes)
        with m.Elif(transmitter.i.ready):
            m.d.sync += [sending.eq(sending[8:]), left.eq(left - 1)]
        return m
