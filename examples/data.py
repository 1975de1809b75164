"""The data that several examples train on; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["Series", "pixels", "stimulus", "vowels"]

Series = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values [series, frames, channels], lengths, labels."""


def vowels() -> tuple[Series, Series]:
    """Train and test series of vowels/data.npz (attribution there), 12 channels, 7 to 29 frames.

    They are normalised by the training set, on a grid of 1/1024.
    """
    data = np.load(Path(__file__).parent / "vowels" / "data.npz")
    parts, mean, deviation = [], np.zeros(12), np.ones(12)
    for name in ("train", "test"):
        values, lengths = data[f"{name}_values"].astype(float), data[f"{name}_lengths"].astype(int)
        real = np.arange(values.shape[1]) < lengths[:, None]
        if name == "train":
            mean, deviation = values[real].mean(0), values[real].std(0)
        grid = np.round((values - mean) / deviation * 1024) / 1024 * real[..., None]
        parts.append((grid.astype(np.float32), lengths, data[f"{name}_labels"].astype(np.int64)))
    return parts[0], parts[1]


def pixels() -> tuple[Series, Series]:
    """Train (1437) and test (360) images of scikit-learn's digits, 64 frames of one pixel.

    A pixel, 0..16, becomes pixel / 8 - 1.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    made = [
        ((x / 8 - 1).astype(np.float32)[..., None], np.full(len(x), 64), y.astype(np.int64))
        for x, y in zip(parts[:2], parts[2:], strict=True)
    ]
    return made[0], made[1]


def stimulus(series: Series) -> dict[str, np.ndarray]:
    """The arrays of a stimulus file."""
    return dict(zip(("values", "lengths", "labels"), series, strict=True))
