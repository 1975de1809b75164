"""What a state_dict must hold to be a spiking transformer (mapping/importers/transformer.py)."""

from __future__ import annotations

import re

import numpy as np

from hdl.params.sc.attention import AttentionParams

__all__ = ["ALL", "LAST", "MEAN", "RESETS", "Draft"]

_BLOCK = ("query", "key", "value", "out", "up", "down")
_RESIDUALS = ("out.residual", "down.residual")
_CONFIG = {
    "tokens": (1, 1024),
    "steps": (1, 1 << 20),
    "causal": (0, 1),
    "score_gain": (0, 8),
    "value_gain": (0, 8),
    "seed": (0, (1 << 32) - 1),
    "reset": (0, 2),
    "readout": (0, 2),
}
RESETS = ("zero", "subtract", "delayed")
ALL, MEAN, LAST = range(3)
_MAX_WEIGHTS = 1 << 27


class Draft:
    """The tensors, checked: every problem in `problems`, sizes and numbers as attributes."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.problems: list[str] = []
        numbers = [re.match(r"blocks\.([0-9]{1,4})\.", key) for key in tensors]
        self.blocks = max((int(m[1]) + 1 for m in numbers if m), default=1)
        self.layers = ["embed"]
        self.layers += [f"blocks.{n}.{name}" for n in range(self.blocks) for name in _BLOCK]
        self.layers += ["readout"]
        self._names()
        if not self.problems:
            self._scalars()
        if not self.problems:
            self._shapes()

    def _names(self) -> None:
        """Which tensors there must be."""
        wanted = [f"config.{name}" for name in (*_CONFIG, "threshold")] + ["embed.position"]
        wanted += [f"{layer}.{part}" for layer in self.layers for part in ("weight", "beta")]
        wanted += [f"blocks.{n}.{name}" for n in range(self.blocks) for name in _RESIDUALS]
        known = {*wanted, *(f"{layer}.bias" for layer in self.layers)}
        missing = [name for name in wanted if name not in self.tensors]
        unknown = [name for name in self.tensors if name not in known]
        if not missing and not unknown:
            return
        parts = [
            f"{text} {', '.join(repr(name[:60]) for name in names[:8])}"
            + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            for text, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        expected = ", ".join([n for n in wanted if not n.startswith("blocks.")]
                             + [f"blocks.N.{n}" for n in (*(f"{b}.weight" for b in _BLOCK),
                                *(f"{b}.beta" for b in _BLOCK), *_RESIDUALS)])  # fmt: skip
        self.problems.append(
            f"is no state_dict of a spiking transformer: {'; '.join(parts)}; expected are "
            f"{expected} and optionally .bias of every layer (mapping/importers/transformer.py)"
        )

    def _scalar(self, key: str) -> float | None:
        value = self.tensors[key]
        if value.size != 1:
            self.problems.append(f"{key!r} must hold one number, its shape is {list(value.shape)}")
            return None
        return value.reshape(-1)[0].item()

    def _scalars(self) -> None:
        self.config: dict[str, int] = {}
        for name, (low, high) in _CONFIG.items():
            value = self._scalar(f"config.{name}")
            if value is not None and not (low <= value <= high and value == int(value)):
                self.problems.append(
                    f"'config.{name}' must be a whole number in {low}..{high}, not {value:g}"
                )
            self.config[name] = int(value or 0)
        self.threshold = self._scalar("config.threshold") or 0.0
        if self.threshold <= 0 and self.tensors["config.threshold"].size == 1:
            self.problems.append(f"'config.threshold' must be positive, not {self.threshold:g}")
        for n in range(self.blocks):
            for name in _RESIDUALS:
                self._scalar(f"blocks.{n}.{name}")

    def _shapes(self) -> None:
        def axes(key: str) -> tuple[int, int]:
            found = self.tensors[key].shape
            if len(found) != 2 or not all(found):
                self.problems.append(f"{key!r} must be [out, in], its shape is {list(found)}")
                return 0, 0
            return found

        def expect(key: str, shape: tuple[int, ...]) -> None:
            if self.tensors[key].shape != shape:
                found = list(self.tensors[key].shape)
                self.problems.append(f"{key!r} must be {list(shape)}, its shape is {found}")

        tokens = self.config["tokens"]
        self.dim, self.pixels = axes("embed.weight")
        expect("embed.position", (tokens, self.dim))
        self.heads: list[AttentionParams] = []
        for n in range(self.blocks):
            at = f"blocks.{n}"
            head, _ = axes(f"{at}.query.weight")
            hidden, _ = axes(f"{at}.up.weight")
            for name in ("query", "key", "value"):
                expect(f"{at}.{name}.weight", (head, self.dim))
            expect(f"{at}.out.weight", (self.dim, head))
            expect(f"{at}.up.weight", (hidden, self.dim))
            expect(f"{at}.down.weight", (self.dim, hidden))
            try:
                self.heads.append(self._head(n, head))
            except ValueError as error:
                self.problems.append(f"{at}: the attention's {error}")
        classes, _ = axes("readout.weight")
        width = self.dim * (tokens if self.config["readout"] == ALL else 1)
        expect("readout.weight", (classes, width))
        for layer in self.layers:
            rows = self.tensors[f"{layer}.weight"].shape[:1]
            beta = self.tensors[f"{layer}.beta"]
            if beta.size != 1:
                expect(f"{layer}.beta", rows)
            if beta.size and not 0 <= beta.min() <= beta.max() <= 1:
                bad = beta[(beta < 0) | (beta > 1)][0]
                self.problems.append(f"'{layer}.beta' must lie in 0..1, not {bad:g}")
            if f"{layer}.bias" in self.tensors:
                expect(f"{layer}.bias", rows)
        most = max(self.tensors[f"{n}.weight"].size for n in self.layers) * tokens
        if most > _MAX_WEIGHTS:
            self.problems.append(
                f"a layer has {most} weights for all tokens, at most {_MAX_WEIGHTS} are mapped; "
                "split the model"
            )

    def _head(self, block: int, dim: int) -> AttentionParams:
        c = self.config
        return AttentionParams(
            tokens=c["tokens"],
            dim=dim,
            causal=bool(c["causal"]),
            score_gain=c["score_gain"],
            value_gain=c["value_gain"],
            seed=(c["seed"] + block) % (1 << 32),
        )
