"""From real numbers to the integers of the hardware: tables, ages, units, noise in units.

The integer device is that of hdl/params/crossbar/device.py. g_max is 2**(cell_bits - 1) units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdl.params.crossbar.device import (
    ENTRIES,
    LOG_AGE_BITS,
    NOISE_BITS,
    NU_BITS,
    READ_BITS,
    TIME_BITS,
    Age,
    DeviceParams,
)
from hdl.params.crossbar.noise import DRAW_SIGMA
from hdl.params.errors import UserError
from hdl.params.sc.unit import check_integer
from sim.device.device import Device

__all__ = [
    "age",
    "noise_floor",
    "noise_parts",
    "read_noise_units",
    "tables",
    "to_microsiemens",
    "to_units",
]

Real = NDArray[np.float64]

#: Longest time since programming that an Age holds, over t_0, and the unit of its noise.
MOST_RATIO = 2.0 ** (((1 << LOG_AGE_BITS) - 1) / 256)
AGE_UNIT = DRAW_SIGMA / (1 << 16)


def _unit(device: Device, cell_bits: int) -> float:
    """uS of a unit of conductance."""
    check_integer("cell_bits", cell_bits, 8, 12)
    return device.g_max / (1 << (cell_bits - 1))


def to_units(device: Device, g: ArrayLike, cell_bits: int) -> NDArray[np.int64]:
    """Conductances in uS as integers 0..2**cell_bits - 1; UserError if one is out of range."""
    unit, top = _unit(device, cell_bits), (1 << cell_bits) - 1
    units = np.rint(np.asarray(g, float) / unit)
    wrong = ~((units >= 0) & (units <= top))
    if wrong.any():
        raise UserError(
            f"device '{device.name}': conductances must be in 0..{top * unit:g} uS, "
            f"not {np.asarray(g, float)[wrong].flat[0]:g}; scale the targets"
        )
    return units.astype(np.int64)


def to_microsiemens(device: Device, units: ArrayLike, cell_bits: int) -> Real:
    """Conductances in uS of integers."""
    return np.asarray(units, float) * _unit(device, cell_bits)


def tables(device: Device, cell_bits: int) -> DeviceParams:
    """The integer tables of a device.

    An entry is the mean of its law over the conductances that it holds for. Entry 0 of what goes by
    the target of a "write" is the law at 0: every weight's other device aims there. Beyond g_max,
    where laws are but extrapolated, entries stay within the range of the hardware.
    """
    unit = _unit(device, cell_bits)
    g = unit * np.arange(1 << cell_bits).reshape(ENTRIES, -1)
    aims = g.copy()
    if device.kind == "write":
        aims[0] = 0
    deviation = (1 << 20 - cell_bits) / unit / DRAW_SIGMA  # of uS, in units of s

    def table(y: Real, scale: float, low: int, high: int) -> tuple[int, ...]:
        return tuple(int(v) for v in np.clip(np.rint(y.mean(1) * scale), low, high))

    noise, top = (1 << NOISE_BITS) - 1, (1 << cell_bits) - 1
    given: dict[str, tuple[int, ...] | int] = {
        "drift_mean": table(device.drift_mean(aims), 1 << 10, 0, (1 << NU_BITS) - 1),
        "drift_sigma": table(device.drift_sigma(aims), (1 << 20) / DRAW_SIGMA, 0, noise),
        "read_noise": table(device.read_sigma(g), 1 << 12, 0, (1 << READ_BITS) - 1),
    }
    if device.kind == "write":
        given["write_noise"] = table(device.write_sigma(aims), deviation, 0, noise)
    else:
        given["set_step"] = table(device.set_step(g), 1 / unit, -top, top)
        given["set_noise"] = table(device.set_sigma(g), deviation, 0, noise)
        given["reset_level"] = round(device.reset_level / unit)
        given["reset_noise"] = min(round(device.reset_sigma * deviation), noise)
    return DeviceParams(cell_bits=cell_bits, kind=device.kind, **given)  # type: ignore[arg-type]


def _check_time(device: Device, seconds: float, interval: float) -> None:
    most = device.t_0 * (MOST_RATIO - 1)
    if not 0 <= seconds <= most:
        raise UserError(
            f"device '{device.name}': time since its first read must be in 0..{most:.3g} s, "
            f"not {seconds:g}; change it"
        )
    if not 0 < interval < np.inf:
        raise UserError(f"interval of reads must be more than 0 s, not {interval:g}; change it")


def noise_parts(
    device: Device, seconds: float, correlated: bool = False, interval: float = 1e-6
) -> tuple[float, float]:
    """How read noise has grown after `seconds`: (drawn anew in each read, what stays a while).

    The parts are in quadrature, in units of `Device.read_sigma`. Without `correlated` all is drawn
    anew. With it, what is faster than 1 / interval is, of variance ln(interval / (2 t_read)) (0 at
    least), and the rest stays. This sharp cut is a low estimate of what is fresh: in the series of
    sim/device/real.py half the mean squared difference of neighbouring reads is
    ln(2 pi interval / (2 t_read)) + 0.577. A device of t_read 0 has white noise.
    """
    _check_time(device, seconds, interval)
    whole = float(device.growth(seconds))
    if not correlated or device.t_read == 0:
        return whole, 0.0
    fresh = min(max(float(np.log(interval / (2 * device.t_read))), 0.0), whole**2)
    return fresh**0.5, max(whole**2 - fresh, 0.0) ** 0.5


def age(device: Device, seconds: float, correlated: bool = False, interval: float = 1e-6) -> Age:
    """The integer clock `seconds` after the first read, which is t_0 after programming.

    UserError if the time is negative or beyond what the clock holds.
    """
    fresh, slow = noise_parts(device, seconds, correlated, interval)
    log_age = round(256 * float(np.log2((seconds + device.t_0) / device.t_0)))
    most = (1 << TIME_BITS) - 1
    return Age(
        log_age=log_age,
        fresh=min(round(fresh / AGE_UNIT), most),
        slow=min(round(slow / AGE_UNIT), most),
    )


def _parts_units(
    device: Device, level: ArrayLike, seconds: float, correlated: bool, interval: float
) -> tuple[Real, Real]:
    """Standard deviations of both parts; level and result in any one unit of g_max = 1."""
    g_p = np.asarray(level, float) * device.g_max
    left = ((seconds + device.t_0) / device.t_0) ** -device.drift_mean(g_p)
    sigma = np.asarray(level, float) * left * device.read_sigma(g_p)
    fresh, slow = noise_parts(device, seconds, correlated, interval)
    return sigma * fresh, sigma * slow


def read_noise_units(
    device: Device,
    level: ArrayLike,
    seconds: float = 0.0,
    *,
    cell_bits: int,
    correlated: bool = False,
    interval: float = 1e-6,
) -> Real:
    """Standard deviation, in units, of what differs from read to read.

    Of devices programmed to `level` (units) that have drifted with the mean exponent.
    """
    full = 1 << (cell_bits - 1)
    x = np.asarray(level, float) / full
    return _parts_units(device, x, seconds, correlated, interval)[0] * full


def noise_floor(
    device: Device,
    level: ArrayLike,
    averages: int,
    adc_bits: int,
    *,
    cell_bits: int,
    correlated: bool = False,
    interval: float = 1e-6,
) -> Real:
    """What a verify with 2**averages reads can't resolve, in units: its standard deviation.

    Fresh noise averages out; what stays for a while is taken not to, as in the hardware. A step of
    the converter, 2**(cell_bits - adc_bits) units or 1, adds step / sqrt(12), which averages out if
    fresh noise is at least half a step. A tolerance below this costs pulses for nothing.
    """
    full = 1 << (cell_bits - 1)
    x = np.asarray(level, float) / full
    fresh, slow = (part * full for part in _parts_units(device, x, 0.0, correlated, interval))
    step = float(1 << max(cell_bits - adc_bits, 0))
    reads = 2.0**averages
    rounding = step**2 / 12 / np.where(fresh >= step / 2, reads, 1)
    return np.sqrt(fresh**2 / reads + slow**2 + rounding)
