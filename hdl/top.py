"""What stands around the fabric on a board: clock, reset, serial link, lamps."""

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from hdl.host.uart import Uart
from hdl.params.uart import UartParams
from hdl.stream import Fork

__all__ = ["Ecp5Top", "pll_dividers"]


def pll_dividers(in_mhz: float, out_mhz: float) -> tuple[int, int, int]:
    """(CLKI_DIV, CLKFB_DIV, CLKOP_DIV) of an ECP5 PLL; the output may miss by 1 %.

    The oscillator runs at 400..800 MHz, the phase detector at 3.125..400 MHz (Lattice FPGA-TN-
    02200, ECP5 sysCLOCK).  Raises ValueError if no setting comes close.
    """
    best = None
    for divide in range(1, 129):
        detector = in_mhz / divide
        if not 3.125 <= detector <= 400:
            continue
        for multiply in range(1, 81):
            made = detector * multiply
            for post in range(1, 129):
                if not 400 <= made * post <= 800:
                    continue
                error = abs(made - out_mhz)
                if best is None or error < best[0]:
                    best = (error, divide, multiply, post)
    if best is None or best[0] > 0.01 * out_mhz:
        raise ValueError(f"a PLL can't make {out_mhz:g} MHz from {in_mhz:g} MHz")
    return best[1:]


class Ecp5Top(wiring.Component):
    """An ECP5 board: PLL, reset, the fabric (a Verilog module named `fabric`), and the UART.

    Parameters
    ----------
    uart : the serial link; its `clock_hz` is the clock that the PLL makes.
    in_mhz : the board's oscillator.
    fabric : name of the fabric's module.

    Members
    -------
    clk : the oscillator. rst : button, high while pressed.
    uart_rx, uart_tx : the serial link.
    led : 0: PLL in lock, 1: a word came lately, 2: a word went lately, 3: waiting to send.
    """

    def __init__(self, uart: UartParams, *, in_mhz: float, fabric: str = "nervure"):
        self.uart = uart
        self.in_mhz = in_mhz
        self.fabric = fabric
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "uart_rx": In(1, init=1),
                "uart_tx": Out(1, init=1),
                "led": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        divide, multiply, post = pll_dividers(self.in_mhz, self.uart.clock_hz / 1e6)
        m.domains.sync = ClockDomain("sync")
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=str(self.in_mhz),
            a_FREQUENCY_PIN_CLKOP=str(self.uart.clock_hz / 1e6),
            p_CLKI_DIV=divide,
            p_CLKFB_DIV=multiply,
            p_CLKOP_DIV=post,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=post - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.clk,
            i_CLKFB=ClockSignal("sync"),
            i_RST=Const(0, 1),
            i_STDBY=Const(0, 1),
            o_CLKOP=ClockSignal("sync"),
            o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked | self.rst, domain="sync")
        m.submodules.uart = uart = Uart(self.uart)
        # The link's buffer is block memory, which answers late in the cycle: a register behind it.
        m.submodules.arrived = arrived = Fork(self.uart.word_bits, takers=1, places=1)
        wiring.connect(m, uart.o, arrived.i)
        ready = Signal()
        m.d.comb += [arrived.route.eq(1), arrived.free.eq(ready)]
        m.d.comb += [uart.rx.eq(self.uart_rx), self.uart_tx.eq(uart.tx)]
        m.submodules.fabric = Instance(
            self.fabric,
            i_clk=ClockSignal("sync"),
            i_rst=ResetSignal("sync"),
            i_i__payload=arrived.word,
            i_i__valid=arrived.request,
            o_i__ready=ready,
            o_o__payload=uart.i.payload,
            o_o__valid=uart.i.valid,
            i_o__ready=uart.i.ready,
        )
        # Lamps stay lit for about a twentieth of a second.
        for k, seen in enumerate((arrived.request & ready, uart.i.valid & uart.i.ready)):
            lit = Signal(range(self.uart.clock_hz // 20 + 1), name=f"lit_{k}")
            with m.If(seen):
                m.d.sync += lit.eq(self.uart.clock_hz // 20)
            with m.Elif(lit != 0):
                m.d.sync += lit.eq(lit - 1)
            m.d.comb += self.led[k + 1].eq(lit != 0)
        m.d.comb += [self.led[0].eq(locked), self.led[3].eq(uart.i.valid)]
        return m
