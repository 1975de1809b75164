"""Error against stream length: how good a product of two streams is, by choice of generators.

For each stream length N = 2**n both operands are integers in 0..N, each becomes a stream of N bits
(bit t is 1 where the generator's number t is below the operand), the product is the AND (unipolar)
or XNOR (bipolar), its estimate the share of ones. The error is against the exact product, over
random operand pairs. Independent bits fall with N**-.5, good low-discrepancy pairs almost with
N**-1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.source import parse_source
from hdl.params.sc.umul import UMulParams
from sim.golden.sc.packed import count, pack, unpack
from sim.golden.sc.source import sequence
from sim.golden.sc.umul import UMulModel

__all__ = ["SCHEMES", "Study", "progressive", "study"]

#: Scheme name: what it is.
SCHEMES = {
    "shared-lfsr": "one LFSR for both operands: the streams are correlated, the AND is a minimum",
    "rotated-lfsr": "one LFSR, its bits rotated by half the width for the second operand",
    "two-lfsr": "two LFSRs of one polynomial, seeds drawn anew for each operand pair",
    "vdc-counter": "Van der Corput against a counter",
    "sobol": "Sobol dimensions 1 and 2",
    "umul": "one operand's Sobol generator advances on ones of the other stream (uMUL)",
    "iid": "independent bits, for reference",
}


@dataclass(frozen=True, kw_only=True)
class Study:
    """Errors of one scheme.

    Members
    -------
    scheme : its name, or "A x B" for two generators.
    lengths : stream lengths; rms, worst : root mean square and largest absolute error at each.
    exponent : slope of log rms over log length.
    """

    scheme: str
    lengths: tuple[int, ...]
    rms: tuple[float, ...]
    worst: tuple[float, ...]
    exponent: float | None


def _stream(numbers: np.ndarray, operands: np.ndarray) -> np.ndarray:
    """Packed streams [operands, words]; numbers [length], or [operands, length]."""
    return pack(numbers < operands[:, None])


def _pair(
    scheme: str, width: int, operands: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of both generators, [length] each, or [operands, length]."""
    length = 1 << width
    if scheme == "two-lfsr":
        period = length - 1
        cycle = sequence(LfsrParams(width=width), period).astype(np.uint32)
        starts = rng.integers(0, period, (2, operands, 1))
        first, second = (cycle[(s + np.arange(length)) % period] for s in starts)
        return first, second
    names = {
        "shared-lfsr": "lfsr x lfsr",
        "rotated-lfsr": f"lfsr x lfsr:rotate={width // 2}",
        "vdc-counter": "vdc x counter",
        "sobol": "sobol:1 x sobol:2",
    }.get(scheme, scheme)
    parts = [part.strip() for part in names.split(" x ")]
    if len(parts) != 2:
        raise UserError(
            f"{scheme}: there is no such scheme; there are {', '.join(SCHEMES)}, or two generators "
            "as in 'sobol:1 x lfsr:seed=3'"
        )
    try:
        made = [sequence(parse_source(part, width), length) for part in parts]
    except (TypeError, ValueError) as error:
        raise UserError(f"{scheme}: {error}") from None
    return made[0], made[1]


def _products(
    scheme: str, width: int, a: np.ndarray, b: np.ndarray, bipolar: bool, rng: np.random.Generator
) -> np.ndarray:
    """Estimates of the product of each operand pair, in 0..1 or -1..1."""
    length = 1 << width
    if scheme == "iid":
        left = pack(rng.random((len(a), length)) < a[:, None] / length)
        right = pack(rng.random((len(b), length)) < b[:, None] / length)
    elif scheme == "umul":
        first = _stream(sequence(parse_source("counter", width), length), a)  # any order would do
        params = UMulParams(width=width, encoding="bipolar" if bipolar else "unipolar")
        held = b - length // 2 if bipolar else b
        ones = UMulModel(params).run(length, a=first, b=held)
        share = count(next(iter(ones.values()))) / length
        return 2 * share - 1 if bipolar else share
    else:
        x, y = _pair(scheme, width, len(a), rng)
        left, right = _stream(x, a), _stream(y, b)
    both = left ^ right if bipolar else left & right
    share = count(both) / length
    return 1 - 2 * share if bipolar else share


def study(
    schemes: Sequence[str] = tuple(SCHEMES),
    lengths: Sequence[int] = (16, 64, 256, 1024, 4096),
    *,
    operands: int = 400,
    bipolar: bool = False,
    seed: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Study]:
    """Errors of each scheme at each length.

    lengths : powers of two from 8 (LFSRs have at least 3 bits) to 65536.
    operands : random pairs for each length; `seed` draws them.
    """
    for n in lengths:
        if n < 1:
            raise UserError(f"length must be at least 8, not {n}: an empty stream says nothing")
        if n & (n - 1) or not 8 <= n <= 1 << 16:
            raise UserError(f"length must be a power of two in 8..65536, not {n}")
    if operands < 1:
        raise UserError(f"operands must be at least 1, not {operands}")
    found = []
    for scheme in schemes:
        rms, worst = [], []
        for n in lengths:
            progress(f"{scheme}, {n} bits")
            rng = np.random.default_rng([seed, n])
            a, b = rng.integers(0, n + 1, (2, operands))
            x, y = (2 * a / n - 1, 2 * b / n - 1) if bipolar else (a / n, b / n)
            error = _products(scheme, n.bit_length() - 1, a, b, bipolar, rng) - x * y
            rms.append(float(np.sqrt(np.mean(error**2))))
            worst.append(float(np.abs(error).max()))
        slope = None
        if len(lengths) > 1 and min(rms) > 0:
            slope = float(np.polyfit(np.log(lengths), np.log(rms), 1)[0])
        found.append(
            Study(
                scheme=scheme,
                lengths=tuple(lengths),
                rms=tuple(rms),
                worst=tuple(worst),
                exponent=slope,
            )
        )
    return found


def progressive(
    sources: Sequence[str] = ("lfsr:seed=1", "vdc", "counter", "iid"),
    width: int = 8,
    *,
    draws: int = 64,
    seed: int = 1,
) -> list[dict[str, Any]]:
    """RMS error of a value read after T = 8, 16, ... 2**width cycles, over all operands.

    Returns rows {"source", "cycles", "rms"}; early termination needs sources whose error is small
    from the start.
    """
    length = 1 << width
    operands = np.arange(length + 1)
    rows = []
    cycles = [1 << k for k in range(3, width + 1)]
    for source in sources:
        if source == "iid":
            rng = np.random.default_rng(seed)
            bits = rng.random((draws, length + 1, length)) < operands[:, None] / length
        else:
            try:
                numbers = sequence(parse_source(source, width), length)
            except (TypeError, ValueError) as error:
                raise UserError(f"{source}: {error}") from None
            bits = unpack(_stream(numbers, operands), length)[None]
        sums = np.cumsum(bits, axis=-1)
        rms = [
            float(np.sqrt(np.mean((sums[..., t - 1] / t - operands / length) ** 2))) for t in cycles
        ]
        rows.append({"source": source, "cycles": cycles, "rms": rms})
    return rows
