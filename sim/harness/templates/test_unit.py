"""cocotb tests of the unit in ../rtl: stored inputs, every output bit of every cycle compared.

Run them with `make` or `pytest`. COCOTB_RANDOM_SEED chooses the cycles that are skipped.
"""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import Timer

HERE = Path(__file__).resolve().parent
VECTORS = json.loads((HERE / "vectors.json").read_text())
SEED = int(os.environ.get("COCOTB_RANDOM_SEED", "1"))
INPUTS = [p for p in VECTORS["ports"] if p["direction"] == "in"]
OUTPUTS = [p for p in VECTORS["ports"] if p["direction"] == "out"]


class Driver:
    """Drives one enabled cycle at a time, with idle cycles between them."""

    def __init__(self, dut, stall: float) -> None:
        self.dut, self.stall, self.random = dut, stall, random.Random(SEED)
        self.state = VECTORS["sequential"]

    def put(self, values: dict[str, int]) -> None:
        for port in INPUTS:
            mask = (1 << port["bits"]) - 1
            getattr(self.dut, port["name"]).value = values[port["name"]] & mask

    def noise(self) -> dict[str, int]:
        return {p["name"]: self.random.getrandbits(p["bits"]) for p in INPUTS}

    async def edge(self) -> None:
        if self.state:
            self.dut.clk.value = 1
        await Timer(5, "ns")

    async def low(self) -> None:
        if self.state:
            self.dut.clk.value = 0
        await Timer(5, "ns")

    async def clear(self, reset: bool = False) -> None:
        """A clear, while the inputs and `en` are anything; or the reset."""
        if not self.state:
            return
        self.put(self.noise())
        self.dut.rst.value = int(reset)
        self.dut.en.value = self.random.getrandbits(1)
        self.dut.clear.value = int(not reset)
        await self.low()
        await self.edge()
        self.dut.rst.value = 0
        self.dut.clear.value = 0
        self.dut.en.value = 0

    async def cycle(self, values: dict[str, int]) -> dict[str, int]:
        """One enabled cycle; returns the outputs in it."""
        while self.random.random() < self.stall:
            self.put(self.noise() | {p["name"]: values[p["name"]] for p in INPUTS if p["held"]})
            await self.low()
            await self.edge()
        self.put(values)
        if self.state:
            self.dut.en.value = 1
        await self.low()
        found = {p["name"]: int(getattr(self.dut, p["name"]).value) for p in OUTPUTS}
        await self.edge()
        if self.state:
            self.dut.en.value = 0
        return found


async def check(dut, stall: float) -> None:
    """Every run, each from a clear, the first from a reset."""
    driver, latency, problems = Driver(dut, stall), VECTORS["latency"], []
    for number, run in enumerate(VECTORS["runs"]):
        await driver.clear(reset=number == 0)
        for t in range(run["length"] + latency):
            at = min(t, run["length"] - 1)
            found = await driver.cycle({name: v[at] for name, v in run["inputs"].items()})
            if t < latency:
                continue
            for port in OUTPUTS:
                name, mask = port["name"], (1 << port["bits"]) - 1
                right = run["outputs"][name][t - latency] & mask
                if found[name] != right:
                    problems.append(
                        f"run {number}, cycle {t - latency}, {name}: expected 0x{right:x}, "
                        f"found 0x{found[name]:x}"
                    )
    for text in problems[:10]:
        dut._log.error(text)
    assert not problems, f"{len(problems)} differences; first: {problems[0]}"


@cocotb.test()
async def every_cycle_enabled(dut):
    await check(dut, 0.0)


@cocotb.test()
async def with_idle_cycles(dut):
    await check(dut, 0.3)
