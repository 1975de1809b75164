"""A Program whose devices are older, and what makes up for their drift."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from codesign.crossbar.settings import COMPENSATIONS, Crossbars
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.sc.lfsr import seed_of

if TYPE_CHECKING:
    from mapping.program import Population, Program

__all__ = ["Domain", "aged", "duration", "in_seconds", "seed_for"]


class Domain:
    """What a seed is for: draws of one use never meet those of another."""

    READ, PROGRAM, CALIBRATE, FAULTS = range(4)


def seed_for(seed: int, domain: int, population: int) -> int:
    """The seed of 32 bits for one use in one population."""
    return seed_of(seed, domain << 24 | population, 32) - 1


def _checked(age: float | None, compensation: str | None, noise_seed: int | None) -> None:
    if age is not None and not (math.isfinite(age) and age >= 0):
        raise UserError(f"age: must be a number of seconds from 0, not {age}")
    if compensation is not None and compensation not in COMPENSATIONS:
        raise UserError(
            f"compensation: must be one of {', '.join(COMPENSATIONS)}, not {compensation!r}"
        )
    if compensation is not None and age is None:
        raise UserError("compensation: makes up for drift, so give an age too (--age)")
    if noise_seed is not None and not 0 <= noise_seed < 1 << 32:
        raise UserError(f"noise_seed: must be in 0..{(1 << 32) - 1}, not {noise_seed}")


def aged(
    program: Program,
    crossbars: Crossbars,
    age: float | None = None,
    compensation: str | None = None,
    noise_seed: int | None = None,
) -> Program:
    """The Program `age` seconds after its devices were programmed, read with other noise.

    As hardware does when its control words are written. None leaves an age or a seed as it is.
    `program` is as compiled where an age is given. Compensation, "none" if not given, measures what
    the devices conduct (`Domain.CALIBRATE` reads) as they were and as they are: of layers whose
    sums are read, it scales the factors (global, or a factor for each neuron), of layers that
    sample, the references (global, or one for each column). UserError if there is no crossbar, or
    for values out of range.
    """
    _checked(age, compensation, noise_seed)
    if not any(isinstance(p.dendrites, Crossbar) for p in program.populations):
        raise UserError(
            f"{program.name}: no layer is on a crossbar, so there is nothing to age and no noise; "
            "compile it with --engine crossbar"
        )
    populations = [
        _aged(program, p, number, crossbars, age, compensation or "none", noise_seed)
        if isinstance(p.dendrites, Crossbar)
        else p
        for number, p in enumerate(program.populations)
    ]
    return replace(program, populations=tuple(populations))


def _aged(
    program: Program,
    p: Population,
    number: int,
    crossbars: Crossbars,
    age: float | None,
    compensation: str,
    noise_seed: int | None,
) -> Population:
    from codesign.crossbar.compensate import compensated
    from mapping.dendrites import crossbar_sources
    from sim.device.integer import age as age_words
    from sim.device.table import find_device

    assert isinstance(p.dendrites, Crossbar)
    crossbar, arrays = p.dendrites, p.arrays
    if age is not None:
        device = find_device(crossbars.device, crossbars.device_table)
        words = age_words(device, age, correlated=crossbar.correlated)
        now = np.array([words.log_age, words.fresh, words.slow], np.int64)
        arrays = {**arrays, "age": now}
        if compensation != "none":
            calibration = seed_for(crossbars.device_seed, Domain.CALIBRATE, number)
            sources = crossbar_sources(program, p.name)
            arrays = compensated(p, arrays, compensation, calibration, sources)
    if noise_seed is not None:
        crossbar = replace(crossbar, seed=seed_for(noise_seed, Domain.READ, number))
    return replace(p, dendrites=crossbar, arrays=arrays)


def duration(seconds: float) -> str:
    """A time as people say it."""
    for unit, size in (("month", 2592000), ("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"


def in_seconds(text: str) -> float:
    """3600, 1h, 1d, 1month as seconds."""
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400, "day": 86400, "month": 2592000,
             "year": 31536000}  # fmt: skip
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip()[len(number) :] or "s"
    try:
        return float(number) * units[unit]
    except (ValueError, KeyError):
        raise UserError(f"--age: must be a time as 3600, 1h, 1d or 1month, not {text!r}") from None
