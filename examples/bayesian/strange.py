"""Images that are no digits, from digits [n, 64] in 0..1 and a generator of random numbers."""

from __future__ import annotations

import numpy as np

#: Capital letters that look like no digit: seven rows of five pixels, as bits.
GLYPHS = {
    "A": "0E11111F111111", "C": "0E11101010110E", "E": "1F10101E10101F", "F": "1F10101E101010",
    "H": "1111111F111111", "K": "11121418141211", "L": "1010101010101F", "M": "111B1515111111",
    "N": "11111915131111", "P": "1E11111E101010", "R": "1E11111E141211", "T": "1F040404040404",
    "U": "1111111111110E", "V": "11111111110A04", "W": "1111111515150A", "X": "11110A040A1111",
    "Y": "11110A04040404",
}  # fmt: skip


def shuffled(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image with its pixels in an order of its own."""
    return rng.permuted(x, axis=1)


def rotated(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image turned a quarter to the left."""
    return np.rot90(x.reshape(-1, 8, 8), axes=(1, 2)).reshape(x.shape)


def letters(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random letters, softened sideways, each as bright as the image it takes the place of."""
    result = np.zeros((len(x), 8, 8))
    names = rng.choice(list(GLYPHS), len(x))
    for image, name, light in zip(result, names, x.sum(1), strict=True):
        rows = np.frombuffer(bytes.fromhex(GLYPHS[name]), np.uint8)
        glyph = np.zeros((7, 8))
        glyph[:, 1:6] = np.unpackbits(rows[:, None], axis=1)[:, 3:]
        glyph += 0.4 * (np.roll(glyph, 1, 1) + np.roll(glyph, -1, 1))
        low = int(rng.integers(2))
        image[low : low + 7] = np.clip(np.roll(glyph, int(rng.integers(2)), 1), 0, 1)
        for _ in range(20):  # clipping at 1 takes light, which the others make up for
            image *= light / image.sum()
            np.clip(image, 0, 1, out=image)
    return result.reshape(x.shape)


STRANGE = {"shuffled": shuffled, "rotated": rotated, "letters": letters}
