"""A memristive device in integers: programming, drift and read noise through tables.

sim/device has the same devices in real numbers, their sources, and what makes these tables of them.

Conductances g are integers in 0..2**B - 1, B = `cell_bits`; the largest nominal conductance g_max
is 2**(B - 1) units, the rest is head-room for noise. Tables have 128 entries, entry
i(g) = g >> (B - 7) holds for g. z is a draw (hdl/params/crossbar/noise.py, standard deviation
147.8), F = 20 - B, and::

    noise(s, z)  = (s * z + 2**(F-1)) >> F           s: standard deviation * 2**F / 147.8
    clip(g)      = min(max(g, 0), 2**B - 1)

A device remembers its programmed conductance g_p, its drift exponent nu in units of 2**-10, and
which clock it ages by. A pulse takes three rows of draws, z1, z2, z3, and changes the device,
unless it is stuck::

    WRITE level   g_p = clip(level + noise(write_noise[i(level)], z1))              kind "write"
    SET           g_p = clip(g_p + set_step[i(g_p)] + noise(set_noise[i(g_p)], z1))  kind "pulse"
    RESET         g_p = clip(reset_level + noise(reset_noise, z1))
    then          x = i(level) for WRITE, i(g_p) for SET and RESET (the new g_p)
                  nu = min(|drift_mean[x] + ((drift_sigma[x] * z2 + 2**9) >> 10)|, 511)
                  h, s of the device as below, with z3

What a device conducts at an age (hdl/params/crossbar/device.py: Age) follows from g_p and nu, and
for the slow part of its noise from one more draw z::

    e  = (nu * log_age) >> 10
    D  = 2**12 * 2**(-(e & 255) / 256), rounded to nearest
    g  = (g_p * D + 2**(11 + (e >> 8))) >> (12 + (e >> 8))
    sigma(w) = min((g * ((read_noise[i(g_p)] * w + 2**8) >> 9) + 2**(B-2)) >> (B - 1), 255)
    h  = clip(g + noise(sigma(slow), z))
    s  = sigma(fresh)

and each read of it takes another draw z::

    v  = max(0, h + noise(s, z))
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import check_choice, check_integer

__all__ = ["ENTRIES", "FADE", "Age", "DeviceParams"]

#: Entries of a table.
ENTRIES = 128

#: Bits of a drift exponent, of s, of the words of an `Age`, and the widest entries of tables.
NU_BITS, SIGMA_BITS, LOG_AGE_BITS, TIME_BITS = 9, 8, 13, 12
NOISE_BITS, READ_BITS = 12, 11

#: 2**12 * 2**(-k / 256), k = 0..255: the factor D of the drift.
FADE = tuple(round(2 ** (12 - k / 256)) for k in range(256))


@dataclass(frozen=True, kw_only=True)
class Age:
    """What time has done to devices that were programmed together; see sim/device for seconds.

    Parameters
    ----------
    log_age : log2 of the time since programming over the time of the first read, in units of
        2**-8; 0..8191. 0: no drift.
    fresh : sqrt(ln(...)) of the read noise that is drawn anew in each read, in units of 1 / 443.4
        (2**16 / 147.8); 0..4095.
    slow : of the part that stays for a while, the same units.
    """

    log_age: int = 0
    fresh: int = 0
    slow: int = 0

    def __post_init__(self) -> None:
        check_integer("log_age", self.log_age, 0, (1 << LOG_AGE_BITS) - 1)
        check_integer("fresh", self.fresh, 0, (1 << TIME_BITS) - 1)
        check_integer("slow", self.slow, 0, (1 << TIME_BITS) - 1)


@dataclass(frozen=True, kw_only=True)
class DeviceParams:
    """Tables of a device. Meaning and units: see the module.

    Parameters
    ----------
    cell_bits : B, 8..12.
    kind : "write" (a pulse aims at a level) or "pulse" (SET pulses add up).
    write_noise : of "write", 128 entries; 0..4095.
    set_step, set_noise : of "pulse", 128 entries; steps are signed.
    reset_level, reset_noise : after a RESET.
    drift_mean, drift_sigma : of the exponent, 128 entries.
    read_noise : relative standard deviation of a read at sqrt(ln(...)) = 1, in units of 2**-12,
        128 entries; 0..2047.
    """

    cell_bits: int
    kind: str = "write"
    write_noise: tuple[int, ...] = (0,) * ENTRIES
    set_step: tuple[int, ...] = (0,) * ENTRIES
    set_noise: tuple[int, ...] = (0,) * ENTRIES
    reset_level: int = 0
    reset_noise: int = 0
    drift_mean: tuple[int, ...] = (0,) * ENTRIES
    drift_sigma: tuple[int, ...] = (0,) * ENTRIES
    read_noise: tuple[int, ...] = (0,) * ENTRIES

    def __post_init__(self) -> None:
        check_integer("cell_bits", self.cell_bits, 8, 12)
        check_choice("kind", self.kind, ("write", "pulse"))
        top = (1 << self.cell_bits) - 1
        for name, low, high in (
            ("write_noise", 0, (1 << NOISE_BITS) - 1),
            ("set_step", -top, top),
            ("set_noise", 0, (1 << NOISE_BITS) - 1),
            ("drift_mean", 0, (1 << NU_BITS) - 1),
            ("drift_sigma", 0, (1 << NOISE_BITS) - 1),
            ("read_noise", 0, (1 << READ_BITS) - 1),
        ):
            table = getattr(self, name)
            if not isinstance(table, tuple) or len(table) != ENTRIES:
                raise ValueError(f"{name} must be {ENTRIES} integers")
            for k, value in enumerate(table):
                check_integer(f"{name}[{k}]", value, low, high)
        check_integer("reset_level", self.reset_level, 0, top)
        check_integer("reset_noise", self.reset_noise, 0, (1 << NOISE_BITS) - 1)

    @property
    def full_scale(self) -> int:
        """g_max in units."""
        return 1 << (self.cell_bits - 1)

    @property
    def noise_shift(self) -> int:
        """F."""
        return 20 - self.cell_bits
