"""cocotb tests of the fabric in ../rtl: stimulus in, every output bit and state word compared.

Run them with `make` or `pytest`. COCOTB_RANDOM_SEED chooses the stalls.
"""

import os
import random

import cocotb
from cocotb.triggers import Timer
from compare import LAYOUT, MARK, WORD, compare, read_hex

SHOWN = 10
SEED = int(os.environ.get("COCOTB_RANDOM_SEED", "1"))


class Host:
    """Drives the clock and both streams of the fabric."""

    def __init__(self, dut, seed: int = 1, stall: float = 0.0) -> None:
        self.dut, self.random, self.stall = dut, random.Random(seed), stall

    async def reset(self) -> None:
        self.dut.i__valid.value = 0
        self.dut.i__payload.value = 0
        self.dut.o__ready.value = 0
        self.dut.rst.value = 1
        for _ in range(4):
            await self.tick()
        self.dut.rst.value = 0

    async def tick(self) -> None:
        """Low half of a cycle, then the rising edge."""
        self.dut.clk.value = 0
        await Timer(5, "ns")
        self.dut.clk.value = 1
        await Timer(5, "ns")

    async def run(self, words: list[int], marks: int) -> list[int]:
        """Send `words`; return what came until that many MARKs had come."""
        dut, found, sent, offered, quiet = self.dut, [], 0, False, 0
        while marks or sent < len(words):
            if not offered and sent < len(words):
                offered = self.random.random() >= self.stall
                if offered:
                    dut.i__payload.value = words[sent]
            ready = self.random.random() >= self.stall
            dut.i__valid.value = int(offered)
            dut.o__ready.value = int(ready)
            dut.clk.value = 0
            await Timer(5, "ns")
            # All is settled: what is read here is what the rising edge sees.
            quiet += 1
            if offered and int(dut.i__ready.value):
                offered, quiet = False, 0
                sent += 1
            if ready and int(dut.o__valid.value):
                found.append(int(dut.o__payload.value))
                quiet = 0
                if found[-1] & MARK:
                    marks -= 1
            dut.clk.value = 1
            await Timer(5, "ns")
            if quiet > LAYOUT["deadline"]:
                dut._log.error(
                    f"no word for {quiet} cycles: {sent} of {len(words)} words taken, "
                    f"{marks} MARKs missing"
                )
                break
        dut.i__valid.value = 0
        dut.o__ready.value = 0
        return found


def check(dut, found: list[int], count: int | None = None) -> None:
    """Fails, with the first differences, unless the answer is right for the first samples."""
    samples = LAYOUT["samples"][:count]
    expected = read_hex("expected.hex")[: sum(sample["answers"] for sample in samples)]
    problems = compare(expected, found, samples)
    for text in problems[:SHOWN]:
        dut._log.error(text)
    if problems:
        raise AssertionError(f"{len(problems)} differences; first: {problems[0]}")
    dut._log.info(f"{len(samples)} samples, {len(expected)} words, no difference")


def stimulus(count: int | None = None) -> tuple[list[int], int]:
    """Words of the first samples, and the MARKs that answer them."""
    samples = LAYOUT["samples"][:count]
    words = read_hex("stimulus.hex")[: sum(sample["words"] for sample in samples)]
    return words, sum(sample["marks"] for sample in samples)


@cocotb.test()
async def without_stalls(dut):
    host = Host(dut)
    await host.reset()
    check(dut, await host.run(*stimulus()))


@cocotb.test()
async def with_random_stalls(dut):
    """Both streams wait at random: back-pressure must not change a bit."""
    host = Host(dut, SEED, 0.7)
    await host.reset()
    check(dut, await host.run(*stimulus()))


@cocotb.test(skip=not LAYOUT["load_words"])
async def after_loading_memories(dut):
    """All memories are overwritten with wrong contents, then with the right ones."""
    host = Host(dut)
    await host.reset()
    load = read_hex("load.hex")
    flip = ((1 << WORD["chunk_bits"]) - 1) << 2
    wrong = [word if word & 3 == WORD["select"] else word ^ flip for word in load]
    await host.run(wrong + load, 0)
    check(dut, await host.run(*stimulus(1)), 1)
