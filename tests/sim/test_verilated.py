"""The in-process Verilated model, on small designs written in Amaranth."""

import time

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Assert, Format, Module, Print
from amaranth.lib import fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from sim.harness.verilate import build_runtime
from sim.verilated import (
    AssertionFailed,
    BuildFailed,
    SimulationError,
    SimulationStalled,
    StopOn,
    Verilated,
)

WIDE = (1 << 99) | (0xABCD << 60) | 5


class Queue(wiring.Component):
    """A FIFO of 100-bit words that can be stopped, with a counter, a memory and an assertion."""

    i: In(stream.Signature(100))
    o: Out(stream.Signature(100))
    stuck: In(1)
    bad: In(1)
    show: In(1)
    step: In(4)
    count: Out(16)
    twice: Out(5)

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=100, depth=8)
        m.submodules.log = log = memory.Memory(shape=8, depth=32, init=[3, 4])
        write = log.write_port()
        taken = self.i.valid & self.i.ready
        m.d.comb += [
            self.twice.eq(self.step * 2),
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(taken),
            self.i.ready.eq(queue.w_rdy & ~self.stuck),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy & ~self.stuck),
            queue.r_en.eq(self.o.ready & ~self.stuck),
            write.addr.eq(self.count),
            write.data.eq(self.i.payload),
            write.en.eq(taken),
        ]
        m.d.sync += Assert(~self.bad, Format("bad at {:d}", self.count))
        with m.If(self.show):
            m.d.sync += Print(Format("count is {:d}", self.count))
        with m.If(taken):
            m.d.sync += self.count.eq(self.count + 1)
        return m


class Numbers(wiring.Component):
    """Counts words of 16 bits; gives no word until it is asked to by bit 15."""

    i: In(stream.Signature(16))
    o: Out(stream.Signature(16))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.o.payload.eq(self.o.payload + 1)
            m.d.sync += self.o.valid.eq(self.i.payload[15])
        return m


READS_A_FILE = """
module table_of(input clk, input [1:0] a, output [7:0] q);
  reg [7:0] words [0:3];
  initial $readmemh("mem/words.hex", words);
  assign q = words[a];
endmodule
"""


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    """A cache of this module's own, but with the shared compiled runtime: that is slow to make."""
    runtime = build_runtime(lambda text: None)
    folder = tmp_path_factory.mktemp("cache") / "verilated"
    folder.mkdir()
    (folder / runtime.name).symlink_to(runtime)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NERVURE_CACHE", str(folder.parent))
        yield


@pytest.fixture(scope="module")
def queue_source(tmp_path_factory):
    path = tmp_path_factory.mktemp("rtl") / "queue.v"
    path.write_text(verilog.convert(Queue(), name="queue_of", emit_src=False))
    return path


@pytest.fixture(scope="module")
def plain(queue_source):
    return Verilated.build([queue_source], "queue_of")


@pytest.fixture(scope="module")
def open_queue(queue_source):
    """The same design with internals and waves."""
    return Verilated.build([queue_source], "queue_of", internals=True, trace=True, optimise=False)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    path = tmp_path_factory.mktemp("rtl") / "numbers.v"
    path.write_text(verilog.convert(Numbers(), name="numbers", emit_src=False))
    return Verilated.build([path], "numbers", optimise=False)


@pytest.fixture
def sim(plain):
    with plain.new() as model:
        yield model


def test_unknown_port_names_the_ports(sim):
    with pytest.raises(AttributeError, match=r"queue_of has no port speed: .*i__payload"):
        _ = sim.io.speed
    with pytest.raises(AttributeError, match="queue_of has no port speed: "):
        sim.io.speed = 1
    with pytest.raises(AttributeError, match="port count is an output of queue_of: read it"):
        sim.io.count = 1


def test_value_must_fit_its_port(sim):
    with pytest.raises(ValueError, match=r"port step: 16 does not fit in 4 bit\(s\)"):
        sim.io.step = 16
    with pytest.raises(ValueError, match=r"port i__payload: .* does not fit in 100"):
        sim.io.i__payload = 1 << 100
    with pytest.raises(TypeError):
        sim.io.step = 1.5
    sim.io.step = -1
    assert sim.io.step == 15
    sim.io["step"] = np.int64(3)
    assert sim.io["step"] == 3


def test_ports_are_those_of_the_design(sim):
    assert {name: port.width for name, port in sim.ports.items()} == {
        "clk": 1, "rst": 1, "i__payload": 100, "i__valid": 1, "i__ready": 1, "o__payload": 100,
        "o__valid": 1, "o__ready": 1, "stuck": 1, "bad": 1, "show": 1, "step": 4, "count": 16,
        "twice": 5,
    }  # fmt: skip
    assert sim.ports["step"].is_input
    assert not sim.ports["twice"].is_input


def test_reading_settles_combinational_logic(sim):
    for step in range(16):
        sim.io.step = step
        assert sim.io.twice == 2 * step
    assert sim.cycles == 0


def test_tick_and_reset(sim):
    sim.io.i__valid = 1
    sim.clock.tick()
    sim.clock.tick(3)
    assert (sim.io.count, sim.cycles) == (4, 4)
    sim.reset(2)
    assert (sim.io.count, sim.cycles, sim.io.rst) == (0, 6, 0)
    sim.clock.tick(0)
    assert sim.cycles == 6
    with pytest.raises(ValueError, match=r"clock.tick: cycles must be at least 0, not -1"):
        sim.clock.tick(-1)


def test_payload_over_64_bits(sim):
    sim.io.i__payload = WIDE
    assert sim.io.i__payload == WIDE
    sim.io.i__valid = 1
    sim.clock.tick()
    sim.io.i__valid = 0
    sim.clock.tick(2)
    assert sim.io.o__valid == 1
    assert sim.io.o__payload == WIDE


def test_instances_are_independent(plain):
    with plain.new() as one, plain.new() as other:
        one.io.i__valid = 1
        one.clock.tick(5)
        other.clock.tick()
        assert (one.io.count, other.io.count) == (5, 0)
        one.close()
        other.io.i__valid = 1
        other.clock.tick()
        assert other.io.count == 1


def test_instances_of_two_designs_are_independent(plain, numbers):
    with plain.new() as one, numbers.new() as other:
        assert other.stream([1, 2, 0x8000], until=1).ints() == [3]
        one.io.i__valid = 1
        one.clock.tick(2)
        assert one.io.count == 2


def test_closed_simulation_refuses(plain):
    sim = plain.new()
    io, clock = sim.io, sim.clock
    sim.close()
    sim.close()
    for use in (
        lambda: io.count,
        lambda: setattr(io, "step", 1),
        clock.tick,
        sim.reset,
        lambda: sim.cycles,
        lambda: sim.stream([1]),
    ):
        with pytest.raises(SimulationError, match="simulation closed; make another with new"):
            use()


def test_internals(open_queue):
    with open_queue.new() as sim:
        assert "queue.level" in sim.internals
        assert sim.internals.width("queue.r_data") == 100
        log = sim.internals["log"]
        assert (len(log), log.width, log[0], log[1]) == (32, 8, 3, 4)
        sim.io.i__valid = 1
        sim.io.i__payload = WIDE
        sim.clock.tick(3)
        sim.io.i__valid = 0
        assert sim.internals["queue.level"] == 3
        assert log.to_numpy()[:4].tolist() == [5, 5, 5, 0]
        assert sim.internals["queue.storage"][0] == WIDE
        sim.internals["count"] = 300
        assert sim.io.count == 300
        sim.io.i__valid = 1
        sim.clock.tick()
        assert sim.io.count == 301
        log[7] = 77
        assert list(log)[7] == 77
        log.load(np.arange(32))
        assert log[31] == 31
        with pytest.raises(ValueError, match=r"log: a word does not fit in 8 bit"):
            log.load(np.arange(32) * 10)
        with pytest.raises(ValueError, match=r"log\[7\]: 256 does not fit in 8 bit"):
            log[7] = 256
        with pytest.raises(IndexError, match=r"log: index 32 is not in 0\.\.31"):
            _ = log[32]
        with pytest.raises(KeyError, match=r"has no signal level: did you mean queue.level"):
            _ = sim.internals["level"]


def test_internals_and_trace_need_their_build(sim, tmp_path):
    with pytest.raises(SimulationError, match="build with internals=True"):
        _ = sim.internals
    with pytest.raises(SimulationError, match="build with trace=True"):
        sim.start_trace(tmp_path / "x.vcd")


def test_trace_is_written(open_queue, tmp_path):
    path = tmp_path / "wave.vcd"
    with open_queue.new() as sim:
        sim.clock.tick(2)
        sim.start_trace(path)
        sim.io.i__valid = 1
        sim.clock.tick(3)
        sim.stream(range(4))
        sim.stop_trace()
        size = path.stat().st_size
        sim.clock.tick(3)
        assert path.stat().st_size == size
        assert "previous dump" not in sim.output
    text = path.read_text()
    assert "$enddefinitions" in text
    assert "i__payload" in text
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert times == sorted(set(times))
    assert times[0] == 4


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.7, 0.6)])
@pytest.mark.parametrize("seed", [1, 2])
def test_stream_keeps_words_and_order(plain, stalls, seed):
    random = np.random.default_rng(seed)
    words = random.integers(0, 1 << 36, (500, 2), dtype=np.uint64)
    with plain.new() as sim:
        run = sim.stream(words, until=500, stall_in=stalls[0], stall_out=stalls[1], seed=seed)
        assert np.array_equal(run.words_out, words), f"seed {seed}"
        assert (run.consumed, run.produced, sim.io.count) == (500, 500, 500)
        assert (np.diff(run.in_cycle.astype(int)) > 0).all()
        assert (np.diff(run.out_cycle.astype(int)) > 0).all()
        assert (run.out_cycle > run.in_cycle).all()
        assert run.cycles == sim.cycles == int(run.out_cycle[-1]) + 1
        if stalls == (0.0, 0.0):
            assert run.cycles < 510
        else:
            assert run.cycles > 700


def test_stalls_follow_the_seed(plain):
    def cycles(seed):
        with plain.new() as sim:
            run = sim.stream(range(100), until=100, stall_in=0.5, stall_out=0.5, seed=seed)
            return run.out_cycle.tolist()

    assert cycles(3) == cycles(3)
    assert cycles(3) != cycles(4)


def test_stall_probability_is_that_of_the_cycles(numbers):
    with numbers.new() as sim:
        run = sim.stream(np.zeros(4000, dtype=np.uint64), stall_in=0.75, idle_cycles=0)
    assert 3.7 < run.in_cycle[-1] / 4000 < 4.3


def test_stream_goes_on_where_it_ended(plain):
    with plain.new() as sim:
        assert sim.stream([1, 2, 3]).ints() == [1, 2, 3]
        assert sim.stream([WIDE, 5], until=2).ints() == [WIDE, 5]
        assert (sim.io.i__valid, sim.io.o__ready) == (0, 0)


def test_stream_stops_on_matching_words(numbers):
    words = np.full(50, 0x8000, dtype=np.uint64)
    with numbers.new() as sim:
        assert sim.stream(words, until=StopOn(mask=7, value=4, count=2)).ints() == list(
            range(1, 13)
        )
    with numbers.new() as sim:
        assert sim.stream(words, idle_cycles=5).produced == 50


def test_stalled_design_raises(plain):
    with plain.new() as sim:
        sim.io.stuck = 1
        with pytest.raises(
            SimulationStalled,
            match=r"^stalled at cycle \d+: no transfer for 50 cycles; "
            r"consumed 0 of 9 words, produced 0$",
        ):
            sim.stream(range(9), until=9, deadline=50)
        sim.io.stuck = 0
        with pytest.raises(SimulationStalled, match=r"max_cycles.*consumed 9 of 9") as caught:
            sim.stream(range(9), until=10, max_cycles=200)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.run.ints() == list(range(9))


def test_stream_refuses_wrong_input(plain, numbers):
    with plain.new() as sim, numbers.new() as other:
        with pytest.raises(ValueError, match="stream 'left': no port left__payload"):
            sim.stream([1], i="left")
        with pytest.raises(ValueError, match="i__payload: word 1 does not fit in 100 bits"):
            sim.stream(np.array([[1, 1], [1, 1 << 36]], dtype=np.uint64))
        with pytest.raises(ValueError, match=r"100 bits need 2 uint64 limb\(s\) a word"):
            sim.stream(np.zeros((4, 3), dtype=np.uint64))
        with pytest.raises(ValueError, match="i__payload: word 1 does not fit in 16 bits"):
            other.stream([65535, 65536])
        with pytest.raises(ValueError, match="words must be integers from 0"):
            other.stream([-1])
        with pytest.raises(ValueError, match=r"stall_in must be in 0 <= p < 1, not 1.0"):
            other.stream([1], stall_in=1.0)
        with pytest.raises(ValueError, match=r"StopOn.count must be at least 1, not 0"):
            other.stream([1], until=0)


def test_failed_assertion_is_an_exception(plain):
    with plain.new() as sim:
        sim.io.i__valid = 1
        sim.clock.tick(6)
        sim.io.bad = 1
        with pytest.raises(AssertionFailed, match=r"bad at 6 \(queue.v:\d+ in queue_of\)"):
            sim.clock.tick()
        assert sim.io.count == 6
        with pytest.raises(SimulationError, match="stopped before"):
            sim.clock.tick()
    with plain.new() as sim:
        sim.io.bad = 1
        with pytest.raises(AssertionError, match=r"cycle 0: bad at 0"):
            sim.stream([1, 2])


def test_printed_text_is_kept(plain):
    with plain.new() as sim, plain.new() as other:
        sim.io.show = 1
        sim.clock.tick(2)
        assert sim.output == "count is 0\ncount is 0\n"
        assert other.output == ""
        sim.clear_output()
        assert sim.output == ""


def test_second_build_comes_from_the_cache(queue_source, plain, tmp_path):
    told = []
    start = time.perf_counter()
    again = Verilated.build([queue_source], "queue_of", progress=told.append)
    assert time.perf_counter() - start < 0.5
    assert (again.folder, told) == (plain.folder, [])
    moved = tmp_path / queue_source.name
    moved.write_bytes(queue_source.read_bytes())
    assert Verilated.build([moved], "queue_of").folder == plain.folder


def test_memory_file_is_part_of_the_key(tmp_path):
    (tmp_path / "t.v").write_text(READS_A_FILE)
    image = tmp_path / "words.hex"
    folders = set()
    for first in (0x11, 0x99):
        image.write_text(f"{first:02x} 22 33 44\n")
        built = Verilated.build(
            [tmp_path / "t.v"], "table_of", data_files={"mem/words.hex": image}, optimise=False
        )
        folders.add(built.folder)
        with built.new() as sim:
            assert sim.io.q == first
            sim.io.a = 3
            assert sim.io.q == 0x44
            with pytest.raises(AttributeError, match="table_of has no port rst"):
                sim.reset()
            with pytest.raises(SimulationError, match="no clock port ck: name it in new"):
                built.new(clock="ck").clock.tick()
    assert len(folders) == 2
    missing = Verilated.build([tmp_path / "t.v"], "table_of", optimise=False)
    with pytest.raises(SimulationError, match=r"file not found: mem/words.hex"):
        missing.new()


def test_broken_source_names_tool_and_line(tmp_path):
    path = tmp_path / "broken.v"
    path.write_text("module broken(input a);\n  assign b = = a;\nendmodule\n")
    with pytest.raises(BuildFailed, match=r"^Verilator: %Error: broken.v:2:.*syntax error"):
        Verilated.build([path], "broken")
    with pytest.raises(BuildFailed, match=r"nowhere.v: no such file"):
        Verilated.build([tmp_path / "nowhere.v"], "broken")
