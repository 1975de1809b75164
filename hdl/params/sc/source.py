"""Number generators by name, and which of them may meet in one unit.

The text of a generator is a kind, what it needs, then options::

    lfsr            lfsr:seed=5,rotate=4,invert        hdl/params/sc/lfsr.py
    sobol:2         sobol:2,order=natural,shift=3      hdl/params/sc/sobol.py
    vdc             vdc,invert                         sobol:1 in natural order
    halton:3        halton:3,digits=4                  hdl/params/sc/halton.py
    counter         counter:divide=8                   hdl/params/sc/counter.py

Independence. Units whose equations multiply probabilities need streams that meet in every
combination. Two sources that do not are named by `correlated`, with the reason:

- the same dimension of Sobol's sequence, whatever order or shift (Van der Corput's and Halton's
  base 2 are dimension 1), and the same base of Halton's;
- two counters, unless one is divided by at least the period of the other (clock division);
- sources whose leading bits depend on each other. Say the exclusive or of some bits of one, bit i
  from the top the lowest of them, is always that of some bits of the other, bit j the lowest (i, j
  from 0; inverted or not). Then the AND of two streams is off by about .104 * 2**-(i + j) RMS at
  any length, by the Walsh coefficients of a threshold: .104 for an LFSR with itself, .054 after a
  rotation by one place, .026 by two. This is refused where it is more than streams of independent
  random bits are off at full length, .375 * 2**(-width / 2): for i + j < max(1, width / 2 - 1).
  It meets 1 of 17 pairs of seeds and rotations of LFSRs of 8 bits, Sobol's dimensions in different
  orders (vdc with sobol:2: both must be in one order), and some pairs of high dimensions.

Not refused, but no better than random bits at 2**n cycles: an odd base of Halton's with Sobol's
dimensions (sobol:2,order=natural with halton:3 at 8 bits .041, random bits .023).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields

from hdl.params.errors import UserError
from hdl.params.sc.counter import CounterParams
from hdl.params.sc.halton import HaltonParams
from hdl.params.sc.lfsr import LfsrParams, successor
from hdl.params.sc.sobol import SobolParams

__all__ = [
    "KINDS",
    "SourceParams",
    "correlated",
    "parse_source",
    "require_independent",
    "source_text",
]

SourceParams = LfsrParams | SobolParams | HaltonParams | CounterParams


@dataclass(frozen=True)
class Kind:
    """A kind of generator: its parameters, which of them stands behind the colon, which are set."""

    params: type
    needs: str | None
    fixed: dict[str, object]


KINDS = {
    "lfsr": Kind(LfsrParams, None, {}),
    "sobol": Kind(SobolParams, "dimension", {}),
    "vdc": Kind(SobolParams, None, {"dimension": 1, "order": "natural"}),
    "halton": Kind(HaltonParams, "base", {}),
    "counter": Kind(CounterParams, None, {}),
}


def _options(kind: Kind) -> dict[str, object]:
    """Names and defaults of what may follow the kind."""
    left_out = {"width", kind.needs, *kind.fixed}
    return {f.name: f.default for f in fields(kind.params) if f.name not in left_out}


def _mend(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"


def parse_source(text: str, width: int) -> SourceParams:
    """The parameters of the generator that `text` names, with numbers of `width` bits.

    Raises UserError for a text that means none, or a width that the generator does not have.
    """
    where = f"source {text!r}"
    name, *items = text.replace(":", ",", 1).split(",")
    if name not in KINDS:
        raise UserError(f"{where}: no generator {name!r}: {_mend(name, list(KINDS))}")
    kind = KINDS[name]
    known = _options(kind)
    values: dict[str, object] = dict(kind.fixed)
    if kind.needs:
        if not items or not items[0].isdecimal():
            raise UserError(f"{where}: {name} needs its {kind.needs}, as in {name}:3")
        values[kind.needs] = int(items.pop(0))
    for item in items:
        option, equals, value = item.partition("=")
        if option not in known:
            raise UserError(f"{where}: {name} has no option {option!r}: {_mend(option, [*known])}")
        if option in values:
            raise UserError(f"{where}: {option} is given twice: leave one out")
        default = known[option]
        if isinstance(default, bool):
            if equals:
                raise UserError(f"{where}: {option} takes no value: write {option!r} alone")
            values[option] = True
        elif isinstance(default, str):
            values[option] = value
        elif value.isdecimal():
            values[option] = int(value)
        else:
            raise UserError(f"{where}: {option} needs a number, as in {option}={default}")
    try:
        return kind.params(width=width, **values)  # type: ignore[no-any-return]
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def source_text(params: SourceParams) -> str:
    """The shortest text that `parse_source` makes `params` of, given its width."""
    name = next(
        name
        for name in ("vdc", *KINDS)
        if isinstance(params, KINDS[name].params)
        and all(getattr(params, k) == v for k, v in KINDS[name].fixed.items())
    )
    kind = KINDS[name]
    words = [str(getattr(params, kind.needs))] if kind.needs else []
    given = {k: getattr(params, k) for k, v in _options(kind).items() if getattr(params, k) != v}
    words += [f"{option}={value}" for option, value in given.items() if value is not True]
    words += [option for option, value in given.items() if value is True]
    return f"{name}:{','.join(words)}" if words else name


def correlated(a: SourceParams, b: SourceParams) -> str | None:
    """Why the streams of two sources are not independent, or None if they may meet."""
    bases = [
        (2 if p.dimension == 1 else -p.dimension) if isinstance(p, SobolParams) else p.base
        for p in (a, b)
        if isinstance(p, (SobolParams, HaltonParams))
    ]
    if len(bases) == 2 and bases[0] == bases[1]:
        if bases[0] == 2:
            return "both are Van der Corput's sequence"
        if bases[0] < 0:
            return f"both are dimension {-bases[0]} of Sobol's sequence"
        return f"both are base {bases[0]} of Halton's sequence"
    if isinstance(a, CounterParams) and isinstance(b, CounterParams):
        slow, fast = (a, b) if a.divide >= b.divide else (b, a)
        return "they count together" if slow.divide < fast.width + fast.divide else None
    return _dependence(a, b)


def _dependence(a: SourceParams, b: SourceParams) -> str | None:
    """How the leading bits of two sources depend on each other, if they do."""
    limit = max(1, -(-min(a.width, b.width) // 2) - 1)
    if isinstance(a, LfsrParams) != isinstance(b, LfsrParams):
        return None
    of_a, of_b = _leading_bits(a, limit), _leading_bits(b, limit)
    for depth in range(limit):
        for i in range(depth + 1):
            if i >= len(of_a) or depth - i >= len(of_b):
                continue
            bits = of_a[: i + 1] + of_b[: depth - i + 1]
            if _rank(bits) < len(bits):
                if depth == 0:
                    return "their top bits are the same sequence"
                return f"the top {i + 1} bits of one and {depth - i + 1} of the other are dependent"
    return None


def _leading_bits(params: SourceParams, count: int) -> list[int]:
    """The top bits of the numbers, at most `count`, each as a linear form over GF(2).

    Of an LFSR the form is the bit's first 64 cycles: sequences of a linear recurrence of order w,
    and sums of two such, are 0 for ever if they are 0 for 2 w cycles. Of other sources the form
    says which bits of the cycle number are summed; there are none for Halton's odd bases.
    """
    width = params.width
    tops = range(width - 1, max(width - 1 - count, -1), -1)
    if isinstance(params, LfsrParams):
        states = [params.seed]
        for _ in range(63):
            states.append(successor(params, states[-1]))
        turned = [(b - params.rotate) % width for b in tops]
        return [sum((state >> b & 1) << t for t, state in enumerate(states)) for b in turned]
    if isinstance(params, CounterParams):
        return [1 << (params.divide + b) for b in tops]
    if isinstance(params, HaltonParams):
        return [1 << k for k in range(min(count, params.places))] if params.base == 2 else []
    forms = []
    for b in tops:
        form = sum((column >> b & 1) << k for k, column in enumerate(params.directions))
        if params.order == "gray":
            form ^= form << 1 & (1 << width) - 1
        forms.append(form)
    return forms


def _rank(vectors: list[int]) -> int:
    """Over GF(2)."""
    basis: list[int] = []
    for vector in vectors:
        for reduced in basis:
            vector = min(vector, vector ^ reduced)
        if vector:
            basis.append(vector)
    return len(basis)


def require_independent(
    unit: str, name_a: str, a: SourceParams, name_b: str, b: SourceParams
) -> None:
    """Raises ValueError if the sources of a unit's inputs `name_a` and `name_b` are correlated."""
    reason = correlated(a, b)
    if reason is None:
        return
    mend = "another dimension or base, in the same order"
    if isinstance(a, LfsrParams):
        mend = f"another seed, or {a.seed} and rotate={(a.rotate + a.width // 2) % a.width}"
    elif isinstance(a, CounterParams):
        mend = f"vdc, or counter:divide={a.width + a.divide}"
    raise ValueError(
        f"{unit} needs independent sources, but {name_a} ({source_text(a)}) and "
        f"{name_b} ({source_text(b)}) are correlated: {reason}; give {name_b} {mend}"
    )
