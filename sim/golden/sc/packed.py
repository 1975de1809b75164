"""Bit-streams packed 64 bits to a word: bit t of a stream is bit t % 64 of word t // 64.

Streams are uint64 arrays [..., words]; any leading axes are a batch. Bits beyond the length are 0.
"""

from __future__ import annotations

import numpy as np

__all__ = ["count", "mask", "pack", "unpack", "words_for"]


def words_for(length: int) -> int:
    """Words of a stream of `length` bits."""
    return -(-length // 64)


def pack(bits: np.ndarray) -> np.ndarray:
    """Bits [..., length], anything that is 0 or not, as words [..., words_for(length)]."""
    bits = np.asarray(bits) != 0
    length = bits.shape[-1]
    padded = np.zeros((*bits.shape[:-1], words_for(length) * 64), dtype=bool)
    padded[..., :length] = bits
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8").astype(np.uint64)


def unpack(words: np.ndarray, length: int) -> np.ndarray:
    """Words [..., words] as bits uint8 [..., length]."""
    data = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(data, axis=-1, bitorder="little", count=length)


def mask(length: int) -> np.ndarray:
    """Words [words] with ones in the first `length` bits: `~x & mask(length)` inverts a stream."""
    return pack(np.ones(length, dtype=np.uint8))


def count(words: np.ndarray) -> np.ndarray:
    """Ones of each stream, int64 [...]."""
    return np.bitwise_count(words).sum(axis=-1, dtype=np.int64)
