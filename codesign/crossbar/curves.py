"""A device's statistics: programmed conductances, SET pulses, drift; real numbers and integers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.report.chart import Axis, Curve, chart, marks
from sim.device import emulate, real
from sim.device.integer import age, to_units

if TYPE_CHECKING:
    from hdl.params.crossbar.device import DeviceParams
    from sim.device.device import Device

__all__ = ["Section", "drift", "programmed", "set_pulses"]

#: Devices of a statistic, and what they aim at, in shares of g_max.
DEVICES = 20000
LEVELS = (0.1, 0.25, 0.5, 0.75, 1.0)
#: After these times, s, conductances are shown.
TIMES = (1.0, 60.0, 3600.0, 86400.0, 2592000.0, 31536000.0)
#: Numbers of SET pulses, and those whose distribution is shown.
SETS, SHOWN = 20, (1, 3, 10, 20)

#: A section of the page: title, hint, drawing, and with a table head and rows.
Section = dict[str, Any]


def _densities(
    names: list[str], floats: list[np.ndarray], units: list[np.ndarray], unit: float, top: float,
    label: str,
) -> str:  # fmt: skip
    """Densities of samples in uS: lines of real numbers, dots of integers."""
    edges = np.linspace(0, top, 121)
    middle = (edges[:-1] + edges[1:]) / 2
    coarse = max(1, round((edges[1] - edges[0]) / unit)) * unit  # whole units to a dot
    curves, most = [], 0.0
    for name, one, other in zip(names, floats, units, strict=True):
        density = np.histogram(one, edges, density=True)[0]
        curves.append(
            Curve(name=name, x=middle.tolist(), y=density.tolist(), dots=False, peak=True)
        )
        bins = np.arange(-0.5 * unit, top + coarse, coarse)
        dots = np.histogram(other * unit, bins, density=True)[0]
        at = (bins[:-1] + bins[1:]) / 2
        there = dots > 0
        curves.append(
            Curve(name=name, x=at[there].tolist(), y=dots[there].tolist(), line=False, peak=True)
        )
        most = max(most, float(density.max()), float(dots.max()))
    return chart(
        curves,
        Axis(name="conductance, uS", marks=marks(top)),
        Axis(name="density, 1/uS", marks=marks(most)),
        label,
    )


def programmed(device: Device, params: DeviceParams, rng: np.random.Generator) -> Section:
    aims = np.array(LEVELS) * device.g_max
    floats = [real.program(device, np.full(DEVICES, aim), rng)[0] for aim in aims]
    levels = to_units(device, aims, params.cell_bits)
    units = [emulate.program(params, np.full(DEVICES, int(k)), rng)[0] for k in levels]
    unit = device.g_max / params.full_scale
    names = [f"{x:g} g_max" for x in LEVELS]
    rows = [
        [name, float(aim), float(f.mean()), float(f.std()), float(u.mean() * unit),
         float(u.std() * unit)]
        for name, aim, f, u in zip(names, aims, floats, units, strict=True)
    ]  # fmt: skip
    return {
        "title": "Programmed conductances",
        "hint": "One pulse that aims at a level. Lines: real numbers; dots: the hardware's "
        "integers.",
        "drawing": _densities(names, floats, units, unit, 1.25 * device.g_max, "Densities"),
        "head": ["target", "uS", "mean", "sd", "mean, integers", "sd, integers"],
        "rows": rows,
    }


def set_pulses(device: Device, params: DeviceParams, rng: np.random.Generator) -> list[Section]:
    """Sequential SET pulses, as in Figure 5 of arXiv 2309.15942."""
    unit = device.g_max / params.full_scale
    g, _ = real.reset(device, (DEVICES,), rng)
    k, _ = emulate.reset(params, (DEVICES,), rng)
    floats, units = [g], [k]
    for _ in range(SETS):
        g, _ = real.set_pulse(device, g, rng)
        k, _ = emulate.set_pulse(params, k, rng)
        floats.append(g)
        units.append(k)
    number = list(range(SETS + 1))
    mean = [float(f.mean()) for f in floats]
    curves = [
        Curve(name="real numbers", x=number, y=mean, spread=[float(f.std()) for f in floats]),
        Curve(name="integers", x=number, y=[float(u.mean() * unit) for u in units], line=False),
    ]
    curves += [
        Curve(name=f"device {n + 1}", x=number, y=[float(f[n]) for f in floats], dots=False)
        for n in range(4)
    ]
    top = max(float(f.max()) for f in floats)
    steps = chart(
        curves,
        Axis(name="SET pulses", marks=marks(SETS, 10)),
        Axis(name="conductance, uS", marks=marks(top)),
        "Conductance over SET pulses",
    )
    rows = [
        [n, float(floats[n].mean()), float(floats[n].std()), float(units[n].mean() * unit),
         float(units[n].std() * unit)]
        for n in (0, *SHOWN)
    ]  # fmt: skip
    names = [f"{n} pulse{'s' if n > 1 else ''}" for n in SHOWN]
    spread = _densities(
        names, [floats[n] for n in SHOWN], [units[n] for n in SHOWN], unit, top, "Densities"
    )
    return [
        {"title": "Sequential SET pulses", "drawing": steps, "rows": rows,
         "head": ["pulses", "mean, uS", "sd", "mean, integers", "sd, integers"],
         "hint": "After a RESET. Band: one standard deviation; thin lines: single devices."},
        {"title": "Conductances after SET pulses", "drawing": spread,
         "hint": "Lines: real numbers; dots: the hardware's integers."},
    ]  # fmt: skip


def _start(device: Device, params: DeviceParams, x: float, rng: np.random.Generator) -> Any:
    """(g_p, nu) in real numbers and in integers of devices near a share x of g_max."""
    if device.kind == "write":
        g, nu = real.program(device, np.full(DEVICES, x * device.g_max), rng)
        level = int(to_units(device, x * device.g_max, params.cell_bits))
        return (g, nu), emulate.program(params, np.full(DEVICES, level), rng)
    g = np.full(DEVICES, x * device.g_max)
    nu = device.drift_mean(g)
    k = to_units(device, g, params.cell_bits)
    return (g, nu), (k, np.asarray(params.drift_mean, np.int64)[k >> (params.cell_bits - 7)])


def drift(device: Device, params: DeviceParams, rng: np.random.Generator) -> Section:
    unit, rows, curves = device.g_max / params.full_scale, [], []
    for x in LEVELS:
        (g, nu), (k, exponent) = _start(device, params, x, rng)
        left = [real.drift(device, g, nu, t) for t in TIMES]
        kept = [emulate.conduct(params, k, exponent, _without_noise(device, t))[0] for t in TIMES]
        name = f"{x:g} g_max"
        curves.append(
            Curve(name=name, x=TIMES, y=[float(v.mean()) for v in left], dots=False,
                  spread=[float(v.std()) for v in left])
        )  # fmt: skip
        curves.append(
            Curve(name=name, x=TIMES, y=[float(v.mean() * unit) for v in kept], line=False)
        )
        rows.append([name, *(float(v.mean()) for v in left), float(kept[-1].mean() * unit)])
    return {
        "title": "Drift",
        "hint": "Mean and standard deviation of what devices conduct, over the time since the "
        "first read. Dots: the hardware's integers.",
        "drawing": chart(
            curves,
            Axis(name="s", marks=[1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8], log=True),
            Axis(name="conductance, uS", marks=marks(1.1 * device.g_max)),
            "Conductance over time",
        ),
        "head": ["target", "1 s", "1 min", "1 h", "1 day", "1 month", "1 year",
                 "1 year, integers"],
        "rows": rows,
    }  # fmt: skip


def _without_noise(device: Device, seconds: float) -> Any:
    """An Age without noise: drift alone."""
    return replace(age(device, seconds), fresh=0, slow=0)
