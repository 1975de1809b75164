"""S4D: a state-space model for each channel, after Gu et al., arXiv 2206.11893.

With lambda = -exp(real part) + i im, dt = exp(log dt) and (a, b) of mapping/discretise.py::

    x = a x + u        y = Re(sum over the states of 2 C b x) + D u

| file | block |
|---|---|
| logdt, lre, im, C, D as l.N, with enc, o.N, dec (examples/s4d.py) | h + o(relu(y)) |
| kernel.*, D, output_linear.0 (state-spaces/s4, models/s4/s4d.py) | h + GLU(W gelu(y)), LayerNorm |

GLU(p, q) = p sigmoid(q), p the first half of the rows of W (torch.nn.GLU). A LayerNorm stands
before the block (prenorm) or behind the sum (example.py of that repository, the default).
"""

from __future__ import annotations

import re

import numpy as np

from mapping.discretise import diagonal
from mapping.importers.expression import Affine
from mapping.importers.ssm_draft import Draft
from mapping.importers.ssm_units import Unit

__all__ = ["build_npz", "build_s4d", "glu"]

Kernel = tuple[np.ndarray, np.ndarray]


def _discrete(unit: Unit, method: str) -> Kernel:
    """(poles, mix) [size, order]."""
    dt, real, imag, weight = (
        ("logdt", "lre", "im", "C")
        if unit.kind == "npz"
        else ("kernel.log_dt", "kernel.log_A_real", "kernel.A_imag", "kernel.C")
    )
    with np.errstate(over="ignore", invalid="ignore"):
        rate = -np.exp(unit[real]) + 1j * unit[imag]
        poles, gain = diagonal(rate, np.exp(unit[dt])[:, None], method)
        return poles, 2 * unit[weight] * gain


def _kernel(draft: Draft, unit: Unit, method: str) -> Kernel:
    """(poles, mix) [size, order + 1], checked; the last state is the feed-through."""
    poles, mix = _discrete(unit, method)
    draft.stable(unit, poles, mix)
    through = unit["D"][:, None]
    return np.hstack([poles, np.zeros_like(through)]), np.hstack([mix, through])


def _compare(draft: Draft, unit: Unit, given: dict[str, np.ndarray]) -> None:
    """Precomputed Abar and K (without the factor 2), if they are there, are the parameters'."""
    prefix, _, number = unit.name.rpartition("l.")
    poles, mix = _discrete(unit, "zoh")
    for name, value in (("Abar", poles), ("K", mix / 2)):
        name = f"{prefix}{name}{number}"
        found = given.pop(name, None)
        if found is None:
            continue
        if found.shape != value.shape:
            draft.problems.append(
                f"'{name}' must be {list(value.shape)}, its shape is {list(found.shape)}"
            )
        elif not np.allclose(found, value, rtol=1e-4, atol=1e-6):
            draft.problems.append(
                f"'{name}' is up to {np.abs(found - value).max():.3g} away from what "
                f"'{unit.name}' gives; export it again or leave it out"
            )


def build_npz(draft: Draft) -> tuple[str, str]:
    """(output layer, readout)."""
    pooling = draft.choose("pooling", "mean")
    activation = draft.choose("activation", "relu")
    method = draft.choose("discretisation", "zoh")
    given = [k for k in draft.extra if re.fullmatch(r"(.*\.)?(Abar|K)[0-9]{1,4}", k)]
    precomputed = {k: draft.extra.pop(k) for k in given}
    found: dict[int, tuple[Unit, Unit]] = {}
    prefix = ""
    for unit in draft.of_kind("npz"):
        draft.rest.remove(unit)
        named = re.fullmatch(r"((?:.*\.)?)l\.([0-9]{1,4})\.", unit.prefix)
        if not named:
            draft.problems.append(f"'{unit.name}' must be named l.0, l.1, ...")
            continue
        prefix = named[1]
        found[int(named[2])] = unit, draft.take(f"{prefix}o.{named[2]}.", "linear")
    layers = [found[n] for n in sorted(found)]
    encoder = draft.take(f"{prefix}enc.", "linear")
    decoder = draft.take(f"{prefix}dec.", "linear")
    draft.check()
    size = encoder.sizes["O"]
    for ssm, out in layers:
        draft.width(ssm, "H", size)
        draft.width(out, "I", size)
        draft.width(out, "O", size)
        _compare(draft, ssm, precomputed)
    draft.extra |= precomputed
    draft.width(decoder, "I", size)
    draft.check()
    kernels = [_kernel(draft, ssm, method) for ssm, _ in layers]
    draft.finish()
    b, x = draft.builder, draft.encode(encoder, size)
    for (ssm, out), kernel in zip(layers, kernels, strict=True):
        x = b.single(x)
        y = b.function(ssm.name, b.mixed(ssm.name, x, *kernel), activation)
        x = x.plus(out.name, draft.linear(out, y))
    return draft.answer(decoder, x), pooling


def glu(draft: Draft, unit: str, x: Affine, weight: np.ndarray, bias: np.ndarray | None) -> Affine:
    """First half of weight @ x + bias times the sigmoid of the second."""
    b, half = draft.builder, len(weight) // 2
    low, high = (None, None) if bias is None else (bias[:half], bias[half:])
    value = b.linear(f"{unit}.value", x, weight[:half], low)
    factor = b.linear(f"{unit}.factor", x, weight[half:], high)
    return b.gate(f"{unit}.glu", value, b.function(f"{unit}.factor", factor, "sigmoid"))


def build_s4d(draft: Draft) -> tuple[str, str]:
    """(output layer, readout)."""
    pooling = draft.choose("pooling", "mean")
    method = draft.choose("discretisation", "zoh")
    layers = draft.of_kind("s4d")
    encoder, decoder = draft.ends(layers[0].place, layers[-1].place)
    norms = draft.norms(len(layers))
    draft.rest = [u for u in draft.rest if u not in layers]
    first = bool(norms) and draft.choose("prenorm", "no") == "yes"
    residual = draft.choose("residual", "yes") == "yes"
    draft.check()
    size = layers[0].sizes["H"]
    for unit in [*layers, *norms]:
        draft.width(unit, "H", size)
    for end, letter in ((encoder, "O"), (decoder, "I")):
        if end:
            draft.width(end, letter, size)
    draft.check()
    kernels = [_kernel(draft, unit, method) for unit in layers]
    draft.finish()
    b, x = draft.builder, draft.encode(encoder, size)
    for i, (ssm, kernel) in enumerate(zip(layers, kernels, strict=True)):
        norm = norms[i] if norms else None
        if norm and first:
            x = b.plain(x)
            z = draft.norm(norm, x)
        else:
            x = z = b.single(x)
        y = b.function(ssm.name, b.mixed(ssm.name, z, *kernel), "gelu")
        name = f"{ssm.name}.output_linear"
        z = glu(draft, name, y, ssm["output_linear.0.weight"][:, :, 0], ssm["output_linear.0.bias"])
        x = x.plus(f"{ssm.name}.sum", z) if residual else z
        if norm and not first:
            x = draft.norm(norm, x)
    return draft.answer(decoder, x), pooling
