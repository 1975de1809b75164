"""A NeuronCore under test: records for its parameter memory, and the tile's side of its ports."""

from hdl.params.neuron import CoreParams

__all__ = ["packed_record", "tile_side"]


def packed_record(params: CoreParams, fields: dict[str, int]) -> int:
    """One neuron's fields as an item of Memory.PARAMETER."""
    word, at = 0, 0
    for name in params.table_fields:
        bits = params.field_bits(name)
        word |= (int(fields[name]) % (1 << bits)) << at
        at += bits
    return word


def tile_side(dut):
    """Coroutines (until_idle, step, write) that drive core `dut`; each takes the context first."""

    async def until_idle(ctx):
        while not ctx.get(dut.idle):
            await ctx.tick()

    async def step(ctx, mask, clear=0):
        """Starts an update of the levels in `mask`, or a clear, once the core is idle."""
        await until_idle(ctx)
        ctx.set(dut.step.mask, mask)
        ctx.set(dut.step.clear, clear)
        ctx.set(dut.step.start, 1)
        await ctx.tick()
        ctx.set(dut.step.start, 0)

    async def write(ctx, memory, address, item):
        ctx.set(dut.config.memory, memory)
        ctx.set(dut.config.address, address)
        ctx.set(dut.config.data, item)
        ctx.set(dut.config.en, 1)
        await ctx.tick()
        ctx.set(dut.config.en, 0)

    return until_idle, step, write
