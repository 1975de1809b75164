"""The serial link against a line driven and read bit by bit."""

import pytest

from hdl.host.uart import Uart
from hdl.params.uart import UartParams
from tests.kit_hdl import clocked, run, stream_put

PARAMS = UartParams(word_bits=21, clock_hz=8_000_000, baud=1_000_000, depth=4)


async def send_byte(ctx, line, byte, params, stop=1):
    for bit in [0, *((byte >> k) & 1 for k in range(8)), stop]:
        ctx.set(line, bit)
        await ctx.tick().repeat(params.divisor)
    ctx.set(line, 1)


def bytes_of(word, params):
    return word.to_bytes(params.word_bytes, "little")


def test_words_come_in():
    dut, words, got = Uart(PARAMS), [0x1ABCDE, 0, 0x1FFFFF, 0x012345], []

    async def line(ctx):
        for word in words:
            for byte in bytes_of(word, PARAMS):
                await send_byte(ctx, dut.rx, byte, PARAMS)

    async def taker(ctx):
        ctx.set(dut.o.ready, 1)
        while len(got) < len(words):
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                got.append(payload)

    sim = clocked(dut)
    sim.add_testbench(line)
    sim.add_testbench(taker)
    run(sim, 5000)
    assert got == words


def test_a_broken_word_is_dropped():
    dut, got = Uart(PARAMS), []

    async def line(ctx):
        await send_byte(ctx, dut.rx, 0x55, PARAMS)  # a word needs three bytes
        await ctx.tick().repeat(PARAMS.silence * 10 * PARAMS.divisor + 10)
        await send_byte(ctx, dut.rx, 0x99, PARAMS, stop=0)  # not a byte
        await ctx.tick().repeat(PARAMS.divisor * 2)
        for byte in bytes_of(0x0A0B0C, PARAMS):
            await send_byte(ctx, dut.rx, byte, PARAMS)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.o.valid)
        got.append(ctx.get(dut.o.payload))

    sim = clocked(dut)
    sim.add_testbench(line)
    run(sim, 9000)
    assert got == [0x0A0B0C]


def test_words_go_out():
    dut, words, got = Uart(PARAMS), [0x1ABCDE, 0, 0x100001], []

    async def line(ctx):
        while len(got) < len(words) * PARAMS.word_bytes:
            while ctx.get(dut.tx):
                await ctx.tick()
            await ctx.tick().repeat(PARAMS.divisor // 2)
            byte = 0
            for k in range(8):
                await ctx.tick().repeat(PARAMS.divisor)
                byte |= ctx.get(dut.tx) << k
            await ctx.tick().repeat(PARAMS.divisor)
            assert ctx.get(dut.tx) == 1
            got.append(byte)

    async def giver(ctx):
        await stream_put(ctx, dut.i, words, seed=1, stall=0.3)

    sim = clocked(dut)
    sim.add_testbench(line)
    sim.add_testbench(giver)
    run(sim, 5000)
    assert bytes(got) == b"".join(bytes_of(word, PARAMS) for word in words)


def test_impossible_baud():
    with pytest.raises(ValueError, match="baud 1000000 can't be made from 3300000 Hz within 2 %"):
        UartParams(word_bits=8, clock_hz=3_300_000)
