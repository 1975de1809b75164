"""Make data.npz from the two .ts files of the Japanese Vowels data set (see ATTRIBUTION.md).

Usage: python examples/vowels/convert.py JapaneseVowels_TRAIN.ts JapaneseVowels_TEST.ts
The values are stored as float16: the nearest number of 11 significant bits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from training import write_arrays  # noqa: E402


def read_ts(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [series, 29, 12] padded with zeros, lengths, and labels 0..8 of a .ts file."""
    lines = path.read_text().splitlines()
    rows = lines[lines.index("@data") + 1 :]
    values = np.zeros((len(rows), 29, 12))
    lengths, labels = [], []
    for i, row in enumerate(rows):
        *channels, label = row.split(":")
        frames = np.array([[float(x) for x in c.split(",")] for c in channels]).T
        values[i, : len(frames)] = frames
        lengths.append(len(frames))
        labels.append(int(label) - 1)
    return values, np.array(lengths), np.array(labels)


def main() -> None:
    arrays = {}
    for part, path in zip(("train", "test"), sys.argv[1:], strict=True):
        values, lengths, labels = read_ts(Path(path))
        arrays[f"{part}_values"] = values.astype(np.float16)
        arrays[f"{part}_lengths"] = lengths.astype(np.uint8)
        arrays[f"{part}_labels"] = labels.astype(np.uint8)
        error = np.abs(arrays[f"{part}_values"] - values).max()
        print(f"{part}: {len(values)} series, largest rounding error {error:.1e}")
    write_arrays(HERE / "data.npz", **arrays)


if __name__ == "__main__":
    main()
