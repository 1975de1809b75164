"""Multiply and accumulate of whole layers of packed streams: AND, then count.

Streams of one product stand under the same index of both arguments, so a layer is a matrix product
over words in which multiplication is `popcount(a & b)`. One compiled loop, four neurons at a
time; the population count is LLVM's `ctpop`, which becomes a vector instruction where there is one.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["mac"]


@intrinsic
def _ctpop(_context, value):  # type: ignore[no-untyped-def]
    """Ones of a uint64."""

    def emit(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        function = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(function, arguments)

    return types.uint64(types.uint64), emit


#: Words of a block: the weights of 64 neurons stay in a core's cache while the batch passes.
BLOCK = 512


@njit(cache=True, nogil=True, boundscheck=False)
def _matrix(weights, inputs, out):  # type: ignore[no-untyped-def]
    """out[b, o] += sum over k of popcount(weights[o, k] & inputs[b, k])."""
    neurons, words = weights.shape
    whole = neurons - neurons % 4
    for begin in range(0, words, BLOCK):
        end = min(begin + BLOCK, words)
        for b in range(inputs.shape[0]):
            x = inputs[b, begin:end]
            for o in range(0, whole, 4):
                w0, w1 = weights[o, begin:end], weights[o + 1, begin:end]
                w2, w3 = weights[o + 2, begin:end], weights[o + 3, begin:end]
                s0, s1, s2, s3 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
                for k in range(end - begin):
                    v = x[k]
                    s0 += _ctpop(v & w0[k])
                    s1 += _ctpop(v & w1[k])
                    s2 += _ctpop(v & w2[k])
                    s3 += _ctpop(v & w3[k])
                out[b, o] += s0
                out[b, o + 1] += s1
                out[b, o + 2] += s2
                out[b, o + 3] += s3
            for o in range(whole, neurons):
                w0, s0 = weights[o, begin:end], np.uint64(0)
                for k in range(end - begin):
                    s0 += _ctpop(x[k] & w0[k])
                out[b, o] += s0


def mac(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Ones of all products of each neuron.

    Parameters
    ----------
    weights : packed streams, uint64 [neurons, inputs, words].
    inputs : packed streams, uint64 [..., inputs, words].

    Returns int64 [..., neurons]. Raises ValueError if inputs or words differ.
    """
    weights = np.ascontiguousarray(weights, dtype=np.uint64)
    inputs = np.ascontiguousarray(inputs, dtype=np.uint64)
    if weights.ndim != 3 or inputs.ndim < 2 or weights.shape[1:] != inputs.shape[-2:]:
        raise ValueError(
            f"weights must be [neurons, inputs, words] and inputs [..., inputs, words], "
            f"not {weights.shape} and {inputs.shape}"
        )
    neurons, batch = len(weights), inputs.shape[:-2]
    size = weights.shape[1] * weights.shape[2]
    out = np.zeros((int(np.prod(batch)), neurons), dtype=np.int64)
    _matrix(weights.reshape(neurons, size), inputs.reshape(len(out), size), out)
    return out.reshape(*batch, neurons)
