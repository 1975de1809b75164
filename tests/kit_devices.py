"""Random Programs with crossbar populations, their devices near what the weights ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import ENTRIES
from mapping.crossbar import crossbar_population, factors, targets
from mapping.program import Program
from tests.kit import random_program

__all__ = ["crossbar_program", "exact_gain", "on_crossbar", "with_devices"]

#: Relative noise of a read, falling with the conductance, in units of 2**-12.
READ_NOISE = np.linspace(300, 40, ENTRIES).astype(np.int64)

#: Mean drift exponent, in units of 2**-10.
NU = 50


def exact_gain(crossbar: Crossbar) -> int:
    """The gain of converters whose largest code a full column just reaches."""
    spare = (0,) * crossbar.converters if crossbar.sampling == "none" else ()
    core = CrossbarParams(
        crossbar=crossbar, blocks=1, tiles=1, read_noise=(0,) * ENTRIES, gain=spare, offset=spare
    )
    return replace(core.array, gain=None).gains[0][0]


def with_devices(
    program: Program,
    name: str,
    seed: int,
    *,
    sigma: float = 8.0,
    gain: int | None = None,
    spread: float = 0.02,
    age: tuple[int, int, int] = (2000, 443, 0),
) -> Program:
    """The Program with devices in a crossbar population, on columns at random.

    Conductances (with `sampling` around a reference) are its targets plus noise of `sigma`; gains
    vary by `spread`, offsets by `spread` codes.
    """
    rng = np.random.default_rng([seed, 77])
    p = program.population(name)
    c = p.dendrites
    assert isinstance(c, Crossbar)
    wanted = targets(program, name)
    blocks, tiles = wanted.scale.shape
    if gain is None:
        gain = 2 * exact_gain(c) // ((c.train + 1) // 2)  # half of the rows are driven, at most
    factor, fraction = factors(program, name, wanted, gain)
    top, places = (1 << c.cell_bits) - 1, c.neurons * c.width
    column = np.stack([rng.permutation(c.columns)[:places] for _ in range(blocks)])
    cells = (blocks, tiles, c.rows, c.columns)
    arrays = {"read_noise": READ_NOISE if sigma else READ_NOISE * 0, "age": np.array(age)}
    goal = image_columns(wanted.values, column, c.columns)
    if c.sampling == "none":
        each = c.converters
        arrays["gain"] = np.rint(gain * (1 + spread * rng.normal(size=each)))
        arrays["offset"] = np.rint(spread * rng.normal(size=each) * (1 << 16))
    else:
        reference = rng.uniform(0.3, 0.5, (blocks, tiles, c.columns)) * top
        drift = 2.0 ** (-NU / 1024 * age[0] / 256)
        arrays["reference"] = np.rint(reference * drift)
        goal = reference[:, :, None] + (goal - 0.5) * sigma * 6
    arrays["conductance"] = np.clip(np.rint(goal + sigma * rng.normal(size=cells)), 0, top)
    arrays["exponent"] = np.clip(np.rint(rng.normal(NU, 5 if sigma else 0, cells)), 0, 511)
    arrays |= {"column": column, "factor": factor}
    made = replace(
        p,
        dendrites=replace(c, fraction=fraction),
        arrays={key: np.asarray(value).astype(np.int64) for key, value in arrays.items()},
    )
    populations = tuple(made if o.name == name else o for o in program.populations)
    return replace(program, populations=populations)


def on_crossbar(program: Program, names: tuple[str, ...], crossbar: Crossbar, seed: int) -> Program:
    """The Program with those populations on crossbars."""
    for k, name in enumerate(names):
        program = crossbar_population(program, name, replace(crossbar, seed=seed + k))
        program = with_devices(program, name, seed + k)
    return program


def crossbar_program(seed: int, sizes=(12, 16, 10, 4), **options) -> Program:
    """`random_program`, about half of its populations on crossbars with settings of their own."""
    rng = np.random.default_rng([seed, 9])
    program = random_program(rng, sizes, **options)
    names = [p.name for p in program.populations if rng.integers(2)]
    for k, name in enumerate(names or [program.populations[0].name]):
        sampling = str(rng.choice(["none", "none", "binary", "ternary"]))
        rows, columns = int(rng.choice([5, 8, 13, 64])), int(rng.choice([4, 5, 8, 12, 64]))
        crossbar = Crossbar(
            rows=rows,
            columns=columns,
            spares=int(rng.integers(0, 2)),
            devices=int(rng.integers(1, 3)) if sampling == "none" and columns > 4 else 1,
            sampling=sampling,
            input=str(rng.choice(["serial", "width"] if rows < 64 else ["serial"])),
            cell_bits=int(rng.integers(8, 13)),
            adc_bits=int(rng.integers(6, 11)),
            converters=int(rng.integers(1, columns + 1)),
        )
        program = on_crossbar(program, (name,), crossbar, 100 * seed + k)
    return program


def image_columns(
    values: np.ndarray, column: np.ndarray, columns: int, fill: float = 0
) -> np.ndarray:
    """Logical values [blocks, ..., logical columns] on bit lines [blocks, ..., columns].

    column : int64 [blocks, logical columns], which one each stands on; the others get `fill`.
    """
    placed = np.full((*values.shape[:-1], columns), fill, values.dtype)
    at = column.reshape(len(column), *(1,) * (values.ndim - 2), column.shape[1])
    np.put_along_axis(placed, np.broadcast_to(at, values.shape), values, axis=-1)
    return placed
