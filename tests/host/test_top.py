"""The board's top with a fabric behind it, word by word over the serial line, against golden.

The PLL is a stub that passes the clock on; all else is what a board gets.
"""

import numpy as np
import pytest

from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.params.neuron import Emit
from hdl.params.uart import UartParams
from hdl.top import Ecp5Top, pll_dividers
from mapping.mapped import Target
from mapping.mapper import map_program
from sim import protocol
from sim.golden.network import Golden
from sim.verilated import Verilated
from tests.kit import random_events, random_program

STEPS = 4
PLL = """
module EHXPLLL #(
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0,
  parameter CLKOP_ENABLE = "", FEEDBK_PATH = ""
) (input CLKI, input CLKFB, input RST, input STDBY, output CLKOP, output LOCK);
  assign CLKOP = CLKI;
  assign LOCK = 1'b1;
endmodule
"""


class Board:
    """A running board with a serial line: `send` words, `receive` what it answers."""

    def __init__(self, model, uart: UartParams) -> None:
        self.model, self.uart = model, uart
        self.line: list[int] = []  # uart_tx in each cycle
        self.at = 0
        model.io.uart_rx = 1
        model.reset()
        self.wait(20)

    def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            self.model.clock.tick()
            self.line.append(int(self.model.io.uart_tx))

    def send_byte(self, byte: int) -> None:
        for bit in (0, *((byte >> k) & 1 for k in range(8)), 1):
            self.model.io.uart_rx = bit
            self.wait(self.uart.divisor)

    def send(self, words) -> None:
        for word in words:
            for byte in int(word).to_bytes(self.uart.word_bytes, "little"):
                self.send_byte(byte)

    def received(self) -> np.ndarray:
        """The whole words that came since the last call."""
        data, divisor, done = [], self.uart.divisor, self.at
        while self.at + 10 * divisor < len(self.line):
            if self.line[self.at]:
                self.at += 1
                continue
            bits = [self.line[self.at + divisor * k + divisor // 2] for k in range(10)]
            assert bits[0] == 0
            assert bits[9] == 1
            data.append(sum(bit << k for k, bit in enumerate(bits[1:9])))
            self.at += 9 * divisor + divisor // 2  # into the stop bit
            if len(data) % self.uart.word_bytes == 0:
                done = self.at
        self.at = done
        size = self.uart.word_bytes
        whole = [data[k : k + size] for k in range(0, len(data) - size + 1, size)]
        return np.array([int.from_bytes(bytes(w), "little") for w in whole], dtype=np.uint64)

    def receive(self, marks: int, body_bits: int, cycles: int = 200_000) -> np.ndarray:
        """Words until that many MARKs have come."""
        words = self.received()
        for _ in range(cycles // 1000):
            if int((words >> np.uint64(body_bits)).sum()) >= marks:
                return words
            self.wait(1000)
            words = np.concatenate([words, self.received()])
        raise AssertionError(f"{marks} MARKs expected, these words came: {words}")


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """Program, mapping, link and the compiled board."""
    folder = tmp_path_factory.mktemp("board")
    program = random_program(104, (4, 6, 3), emit=Emit.SPIKE)
    mapped = map_program(program, Target(cores=2, lanes=2))
    uart = UartParams(word_bits=mapped.host.word_bits, clock_hz=8_000_000, baud=2_000_000, depth=64)
    fabric = Fabric(mapped.mesh, mapped.host, mapped.images)
    files = emit_verilog(fabric, "nervure") | emit_verilog(Ecp5Top(uart, in_mhz=16), "board")
    files["pll.v"] = PLL
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = sorted(folder.glob("*.v"))
    built = Verilated.build(
        sources, "board", optimise=False, data_files=sorted(folder.glob("*.mem"))
    )
    return program, mapped, uart, built


def check_sample(board: Board, program, mapped, inputs) -> None:
    """Sends a probed sample a step at a time and compares all answers."""
    words = protocol.encode(mapped, inputs, probe=True)
    marks = protocol.replies(mapped, len(inputs), probe=True)
    board.send(words)
    got = board.receive(marks, mapped.host.body_bits)
    answer = protocol.decode(mapped, got, len(inputs), probe=True)
    golden = Golden(program).run(inputs[None])
    assert answer.errors == ()
    np.testing.assert_array_equal(answer.outputs, golden.outputs)
    for name, state in golden.final.items():
        np.testing.assert_array_equal(answer.probes[name]["membrane"], state.membrane)


def test_a_sample_over_the_serial_line(design):
    """Loaded over the line, run, and run again behind a broken word and behind the button."""
    program, mapped, uart, built = design
    inputs = random_events(91, program, 3, STEPS, rate=0.6)
    assert Golden(program).run(inputs).outputs.any()
    with built.new() as model:
        board = Board(model, uart)
        board.send(protocol.load_words(mapped))
        check_sample(board, program, mapped, inputs[0])
        assert int(model.io.led) & 1  # in lock

        board.send_byte(0x5A)  # a word's first byte, and then nothing
        board.wait(uart.silence * 10 * uart.divisor + 50)
        check_sample(board, program, mapped, inputs[1])

        board.send(protocol.encode(mapped, inputs[0])[:9])
        board.send_byte(0xA5)
        board.wait(30)
        model.io.rst = 1
        board.wait(5)
        model.io.rst = 0
        board.wait(20 * uart.divisor)  # what was being sent has gone
        del board.line[:]
        board.at = 0
        check_sample(board, program, mapped, inputs[2])


@pytest.mark.parametrize(
    ("in_mhz", "out_mhz"), [(25, 50), (12, 48), (25, 66), (100, 33.3), (16, 8)]
)
def test_pll_settings(in_mhz, out_mhz):
    divide, multiply, post = pll_dividers(in_mhz, out_mhz)
    made = in_mhz / divide * multiply
    assert made == pytest.approx(out_mhz, rel=0.01)
    assert 400 <= made * post <= 800
    assert 3.125 <= in_mhz / divide <= 400


def test_impossible_pll():
    with pytest.raises(ValueError, match="a PLL can't make 900 MHz from 25 MHz"):
        pll_dividers(25, 900)
