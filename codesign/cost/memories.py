"""The memories of a core and what Yosys makes of them on an ECP5, as counting rules.

All functions take numbers or numpy arrays of them. Yosys' `memory_libmap` takes the cheapest of
the shapes of its library (`lattice/brams_16kd.txt`: a block costs 128; `lutrams_trellis.txt`: a
cell of 16 x 4 costs 4) and adds half a unit for each bit of a multiplexer behind it and of the
decoder before it; flip-flops cost one a bit (of the runs, 6 bits became flip-flops and 8 LUT RAM,
so a clocked port on a LUT RAM counts 2 more). Shapes of a DP16KD: 16384 x 1, 8192 x 2, 4096 x 4,
2048 x 9, 1024 x 18, 512 x 36. Items that are written each by itself (`parts`) get bytes of 9 bits
of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Memories", "blocks", "cells", "kind"]

#: What the library's costs are.
BLOCK, CELL, MUX, CLOCKED = 128, 4, 0.5, 2
SHAPES = ((1, 1 << 14), (2, 1 << 13), (4, 1 << 12), (9, 1 << 11), (18, 1 << 10), (36, 1 << 9))
#: hdl/memory.py: up to this depth, or twice that and up to so many bits, LUT RAM is asked for.
SHALLOW, SMALL = 32, 4096
#: A multiplier's operands have up to so many bits; a product of fewer is not worth one.
OPERAND, LEAST_PRODUCT = 18, 9


def _ceil(a: Any, b: Any) -> Any:
    return np.ceil(a / b)


def blocks(depth: Any, bits: Any, parts: Any = 1) -> Any:
    """Fewest DP16KD for `depth` words of `parts` items of `bits` bits."""
    best: Any = np.inf
    for width, rows in SHAPES:
        if width < 9:
            columns = parts * _ceil(bits, width)
        else:
            whole = _ceil(bits * parts, width)
            bytewise = _ceil(parts * _ceil(bits, 9), width // 9)
            columns = np.where(np.asarray(parts) == 1, whole, bytewise)
        best = np.minimum(best, _ceil(depth, rows) * columns)
    return np.where(np.asarray(depth) * bits * parts > 0, best, 0)


def cells(depth: Any, bits: Any, parts: Any = 1) -> Any:
    """LUT RAM cells (16 x 4) of such a memory."""
    return _ceil(depth, 16) * parts * _ceil(bits, 4)


def kind(depth: Any, bits: Any, parts: Any = 1, block: Any = None) -> Any:
    """What a memory with a clocked read port becomes: 2 block RAM, 1 LUT RAM, 0 flip-flops.

    `block` : its `blocks`, where they are known.
    """
    whole = bits * parts
    rows = _ceil(depth, 16)
    small = CLOCKED + CELL * cells(depth, bits, parts) + MUX * (whole * (rows - 1) + rows)
    block = BLOCK * (blocks(depth, bits, parts) if block is None else block)
    chosen = np.where(small > block, 2, 1)
    return np.where(np.asarray(depth) * whole <= np.minimum(small, block), 0, chosen)


class Memories:
    """Adds up what a core's memories and multipliers take.

    bram, dsp : DP16KD and MULT18X18D. lutram : LUT RAM cells. `rows` lists (name, depth, bits,
    parts, count, kind) of each memory.
    """

    def __init__(self) -> None:
        self.bram: Any = 0.0
        self.dsp: Any = 0.0
        self.lutram: Any = 0.0
        self.muxes: Any = 0.0
        self.flops: Any = 0.0
        self.reads: Any = 0.0
        self.rows: list[tuple[Any, ...]] = []

    def _add(self, name: str, depth: Any, bits: Any, parts: Any, count: Any, thin: Any) -> Any:
        """A memory that is LUT RAM where `thin`, and Yosys' choice elsewhere; returns its kind."""
        need = blocks(depth, bits, parts)
        became = np.where(thin, 1, kind(depth, bits, parts, need))
        became = np.where(np.asarray(depth) == 1, 0, became)
        whole = bits * parts
        there = count * (np.asarray(depth) * whole > 0)
        self.rows.append((name, depth, bits, parts, there, became))
        self.bram = self.bram + there * (became == 2) * need
        small = there * (became == 1)
        self.lutram = self.lutram + small * cells(depth, bits, parts)
        self.muxes = self.muxes + small * whole * np.maximum(_ceil(depth, 16) - 1, 0)
        self.flops = self.flops + there * (became == 0) * depth * whole
        return became

    def sync(self, name: str, depth: Any, bits: Any, parts: Any = 1, count: Any = 1) -> None:
        """A memory with a clocked read port, Yosys' choice; LUT RAM gets a register behind it."""
        became = self._add(name, depth, bits, parts, count, False)
        self.reads = self.reads + count * (became < 2) * bits * parts * (np.asarray(depth) > 0)

    def distributed(self, name: str, depth: Any, bits: Any, count: Any = 1, free: Any = 0) -> None:
        """LUT RAM, asked for; where `free`, Yosys' choice."""
        self._add(name, depth, bits, 1, count, ~np.asarray(free, dtype=bool))

    def registered(self, name: str, depth: Any, bits: Any, parts: Any = 1, count: Any = 1) -> Any:
        """A memory as `registered` of hdl/memory.py makes it.

        Returns the bits of registers around LUT RAM (those around block RAM are inside it).
        """
        depth = np.asarray(depth)
        whole = depth * bits * parts
        shallow = (depth <= SHALLOW) | ((depth <= 2 * SHALLOW) & (whole <= SMALL))
        became = self._add(name, depth, bits, parts, count, shallow)
        return count * (became < 2) * bits * parts * (whole > 0)

    def multiply(self, count: Any, left: Any, right: Any) -> None:
        """`count` products of so many bits."""
        wide = left + right >= LEAST_PRODUCT
        each = _ceil(left, OPERAND) * _ceil(right, OPERAND)
        self.dsp = self.dsp + count * wide * each

    def features(self) -> dict[str, Any]:
        """What costs logic."""
        return {
            "ram.cells": self.lutram, "ram.muxes": self.muxes, "ram.flops": self.flops,
            "ram.reads": self.reads,
        }  # fmt: skip
