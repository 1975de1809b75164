"""S5 and LRU: one state-space model for all channels.

    x = a x + B u        y = Re(C x) + D u

| | a, B | D |
|---|---|---|
| S5 (s5-pytorch 0.2.1, s5/s5_model.py; Smith et al., arXiv 2208.04933) | of Lambda, B and the step exp(log_step), by mapping/discretise.py | a gain |
| LRU (forgi86/sysid-pytorch-lru, lru/linear.py; Orvieto et al., arXiv 2303.06349) | exp(-exp(nu_log) + i exp(theta_log)), exp(gamma_log) B | a matrix |

Neither has a factor 2: both take Re(C x) of all states that they have. What may stand around a
layer NAME, f being Linear without a bias:

| code | names | block |
|---|---|---|
| S5Block of s5-pytorch | P.s5.seq, P.attn_norm, P.ff_norm, P.ff_enc, P.ff_dec | n = attn_norm(h); n = ff_norm(gelu(y(n)) + n); h = ff_dec(p gelu(q)) + n, (p, q) = ff_enc(n); as many rows as ff_dec takes: h = ff_dec(ff_enc(n)) + n |
| DWNBlock of sysid-pytorch-lru (lru/architectures.py) | P.lru, P.ln, P.ff.output_linear.0 or P.ff.c_fc, P.ff.c_proj | h + ff(y(ln(h))), ff: GLU(W gelu(y)) or c_proj(gelu(c_fc(y))) |
| layers alone | NAME, as many LayerNorms as layers or none | h = activation(y(h)), with `residual` h +, LayerNorm before (`prenorm`) or behind |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mapping.discretise import diagonal
from mapping.importers.expression import Affine
from mapping.importers.ssm_draft import Draft
from mapping.importers.ssm_s4d import glu
from mapping.importers.ssm_units import Unit

__all__ = ["build_states"]

Block = Callable[[Affine], Affine]


@dataclass(frozen=True, eq=False)
class _Core:
    """The four matrices, discrete; through: a gain [size] or a matrix [out, in]."""

    name: str
    poles: np.ndarray
    gain: np.ndarray
    weight: np.ndarray
    through: np.ndarray

    def apply(self, draft: Draft, x: Affine) -> Affine:
        b, x = draft.builder, draft.builder.plain(x)
        states = b.states(self.name, x, self.poles, self.gain)
        y = b.read(f"{self.name}.C", states, self.weight)
        return y.plus(f"{self.name}.y", x.times(f"{self.name}.D", self.through))


def _core(draft: Draft, unit: Unit, method: str) -> _Core:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if unit.kind.startswith("lru"):
            poles = np.exp(-np.exp(unit["nu_log"]) + 1j * np.exp(unit["theta_log"]))
            gain = np.exp(unit["gamma_log"])
        else:
            poles, gain = diagonal(unit["Lambda"], np.exp(unit["log_step"]), method)
    if unit.kind == "lru parts":
        inputs = unit["B_re"] + 1j * unit["B_im"]
        weight = unit["C_re"] + 1j * unit["C_im"]
    else:
        inputs, weight = unit["B"], unit["C"]
    draft.stable(unit, poles, gain)
    return _Core(unit.name, poles, gain[:, None] * inputs, weight, unit["D"])


def _sizes(unit: Unit) -> tuple[int, int]:
    """Values that a layer takes and gives."""
    return (unit.sizes["I"], unit.sizes["O"]) if "I" in unit.sizes else (unit.sizes["H"],) * 2


def _s5_block(draft: Draft, unit: Unit, method: str) -> Block:
    at = unit.prefix.removesuffix("s5.seq.")
    norm, norm2 = (draft.take(f"{at}{n}.", "norm") for n in ("attn_norm", "ff_norm"))
    up, down = (draft.take(f"{at}{n}.", "linear") for n in ("ff_enc", "ff_dec"))
    draft.check()
    size, inner = unit.sizes["H"], down.sizes["I"]
    for part, letter in ((norm, "H"), (norm2, "H"), (up, "I"), (down, "O")):
        draft.width(part, letter, size)
    gated = up.sizes["O"] == 2 * inner
    draft.width(up, "O", 2 * inner if gated else inner)
    core = _core(draft, unit, method)

    def block(x: Affine) -> Affine:
        b = draft.builder
        x = draft.norm(norm, x)
        y = b.function(f"{unit.name}.y", core.apply(draft, x), "gelu")
        x = draft.norm(norm2, y.plus(f"{at}sum", x))
        y = draft.linear(up, x)
        if gated:
            whole, bias = up["weight"], up.get("bias")
            first, second = (None, None) if bias is None else (bias[:inner], bias[inner:])
            value = b.linear(f"{up.name}.value", x, whole[:inner], first)
            factor = b.linear(f"{up.name}.factor", x, whole[inner:], second)
            factor = b.function(factor.name, factor, "gelu")
            y = b.gate(f"{at}geglu", value, factor)
        return draft.linear(down, y).plus(at.rstrip(".") or "sum", x)

    return block


def _lru_block(draft: Draft, unit: Unit, method: str) -> Block:
    at = unit.prefix.removesuffix("lru.")
    norm = draft.take(f"{at}ln.", "norm")
    deep = any(u.prefix == f"{at}ff.c_fc." for u in draft.rest)
    names = ("ff.c_fc.", "ff.c_proj.") if deep else ("ff.output_linear.0.",)
    ff = [draft.take(at + name, "linear") for name in names]
    draft.check()
    size = _sizes(unit)[0]
    for part, letter in ((unit, "O"), (norm, "H"), (ff[0], "I")):
        draft.width(part, letter, size)
    draft.width(ff[-1], "O", size if deep else 2 * size)
    if deep:
        draft.width(ff[1], "I", ff[0].sizes["O"])
    core = _core(draft, unit, method)

    def block(x: Affine) -> Affine:
        b, x = draft.builder, draft.builder.plain(x)
        y = core.apply(draft, draft.norm(norm, x))
        if deep:
            y = b.function(ff[0].name, draft.linear(ff[0], y), "gelu")
            return x.plus(at.rstrip(".") or "sum", draft.linear(ff[1], y))
        y = b.function(f"{unit.name}.y", y, "gelu")
        y = glu(draft, ff[0].name, y, ff[0]["weight"], ff[0].get("bias"))
        return x.plus(at.rstrip(".") or "sum", y)

    return block


def _alone(draft: Draft, layers: list[Unit], method: str) -> list[Block]:
    norms = draft.norms(len(layers))
    activation = draft.choose("activation", "none")
    residual = draft.choose("residual", "no") == "yes"
    first = bool(norms) and draft.choose("prenorm", "no") == "yes"
    for unit, norm in zip(layers, norms, strict=False):
        draft.width(norm, "H", _sizes(unit)[0 if first else 1])
    for unit in layers:
        if residual and _sizes(unit)[0] != _sizes(unit)[1]:
            draft.problems.append(f"'{unit.name}' gives not as many values as it takes: no sum")

    def made(unit: Unit, norm: Unit | None) -> Block:
        core = _core(draft, unit, method)

        def block(x: Affine) -> Affine:
            b, x = draft.builder, draft.builder.plain(x)
            z = draft.norm(norm, x) if norm and first else x
            z = core.apply(draft, z)
            z = b.function(f"{unit.name}.y", z, activation)
            z = z.plus(f"{unit.name}.sum", x) if residual else z
            if norm and not first:
                z = draft.norm(norm, z)
            return z

        return block

    return [made(unit, norms[i] if norms else None) for i, unit in enumerate(layers)]


def build_states(draft: Draft) -> tuple[str, str]:
    """(output layer, readout)."""
    layers = draft.of_kind("s5", "lru", "lru parts")
    draft.rest = [u for u in draft.rest if u not in layers]
    lru = layers[0].kind.startswith("lru")
    method = "" if lru else draft.choose("discretisation", "zoh")
    draft.check()
    for unit in layers:
        states, columns = unit.sizes["P"], unit.sizes.get("Q", unit.sizes["P"])
        if columns == 2 * states:
            draft.problems.append(
                f"'{unit.name}' is bidirectional: it also reads a sequence from its end, which a "
                "stream doesn't have; train it with bidir=False"
            )
        elif columns != states:
            draft.problems.append(f"'{unit.name}' has {states} states and reads {columns}")
    draft.check()
    ends = ("lru.", "ln.") if lru else ("s5.seq.", "attn_norm.")
    prefixes = {u.prefix for u in draft.rest}
    in_blocks = [
        u.prefix.endswith(ends[0]) and u.prefix.removesuffix(ends[0]) + ends[1] in prefixes
        for u in layers
    ]
    if all(in_blocks):
        make = _lru_block if lru else _s5_block
        blocks = [make(draft, unit, method) for unit in layers]
        encoder, decoder = draft.ends(layers[0].place, layers[-1].place)
    else:
        encoder, decoder = draft.ends(layers[0].place, layers[-1].place)
        blocks = _alone(draft, layers, method)
    pooling = draft.choose("pooling", "none" if lru or decoder is None else "mean")
    size = _sizes(layers[0])[0]
    if encoder:
        draft.width(encoder, "O", size)
    for unit, after in pairwise(layers):
        draft.width(after, "I" if "I" in after.sizes else "H", _sizes(unit)[1])
    if decoder:
        draft.width(decoder, "I", _sizes(layers[-1])[1])
    draft.finish()
    x = draft.encode(encoder, size)
    for block in blocks:
        x = block(x)
    return draft.answer(decoder, x), pooling
