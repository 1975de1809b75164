"""A NeuronCore under test: records for its parameter memory, and the tile's side of its ports."""

from hdl.params.neuron import CoreParams

__all__ = ["packed_record", "packed_state", "probed", "state_of", "tile_side"]


def packed_record(params: CoreParams, fields: dict[str, int]) -> int:
    """One neuron's fields as an item of Memory.PARAMETER."""
    word, at = 0, 0
    for name in params.table_fields:
        bits = params.field_bits(name)
        word |= (int(fields[name]) % (1 << bits)) << at
        at += bits
    return word


def packed_state(params: CoreParams, membrane: int, current: int = 0, sent: int = 0) -> int:
    """A neuron's state as an item of Memory.STATE."""
    word, at = 0, 0
    for value, bits in zip((membrane, current, sent), _widths(params), strict=True):
        word |= (value % (1 << bits)) << at
        at += bits
    return word


async def probed(ctx, dut, item: int) -> int:
    """An item of Memory.STATE of core `dut`, which is at rest."""
    ctx.set(dut.probe_slot, item)
    await ctx.tick().repeat(3)
    return ctx.get(dut.probe)


async def state_of(ctx, dut, slot: int) -> tuple[int, int, int]:
    """Membrane, current and what was sent of a slot, 0 where there is none."""
    word, found = await probed(ctx, dut, slot), []
    for bits in _widths(dut.params):
        half = 1 << bits >> 1
        found.append((word % (1 << bits) ^ half) - half)
        word >>= bits
    return found[0], found[1], found[2]


def _widths(params: CoreParams) -> tuple[int, int, int]:
    return params.membrane_bits, params.current_bits, params.sent_bits


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
