"""What the memories of an array hold at first."""

from hdl.params.crossbar.array import OFFSET_BITS, ArrayMemory, ArrayParams
from hdl.params.crossbar.noise import state_of

__all__ = ["array_contents"]


def array_contents(
    p: ArrayParams, images: dict[ArrayMemory, list[int]]
) -> dict[ArrayMemory, list[int]]:
    """All items of each memory: those of `images` from address 0 on, then those of `p`."""
    converters = [
        item
        for gains, offsets in zip(p.gains, p.offsets, strict=True)
        for gain, offset in zip(gains, offsets, strict=True)
        for item in (gain, offset)
    ]
    states = [word for b in range(p.blocks) for word in state_of(p.seed, p.first_entity + b)]
    contents = {
        ArrayMemory.CELL: [],
        ArrayMemory.STATE: states,
        ArrayMemory.REFERENCE: [0] * (p.banks * p.columns),
        ArrayMemory.AGE: [0] * (4 * p.epochs),
        ArrayMemory.CONVERTER: converters,
    }
    for memory, items in images.items():
        contents[memory] = [int(item) for item in items] + contents[memory][len(items) :]
    contents[ArrayMemory.CONVERTER] = [
        item % (1 << OFFSET_BITS) for item in contents[ArrayMemory.CONVERTER]
    ]
    return contents
