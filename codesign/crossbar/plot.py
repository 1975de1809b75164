"""device.html: a device in real numbers and in the integers of the hardware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import welch

from codesign.crossbar.curves import Section, drift, programmed, set_pulses
from codesign.crossbar.devices import program_weights, tolerance_of
from codesign.crossbar.settings import Crossbars
from codesign.report.chart import Axis, Curve, chart, decades, marks
from codesign.report.page import template
from codesign.simulate import check_file
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from sim.device import emulate, real
from sim.device.integer import age, tables

if TYPE_CHECKING:
    from hdl.params.crossbar.device import DeviceParams
    from sim.device.device import Device

__all__ = ["write_device_page"]

#: Reads of a spectrum, of so many devices, s apart.
READS, TRACES, INTERVAL = 1 << 14, 48, 1e-6
TOLERANCES = (0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0)

CORRELATED = (
    " With correlated reads the hardware draws the fast part of the 1/f noise anew in each read, "
    "and the slow part at each ageing; independent reads draw all of it."
)


def _spectrum(device: Device, params: DeviceParams, rng: np.random.Generator) -> Section:
    """Noise of reads in succession, relative to the conductance, at half of g_max."""
    g = np.full(TRACES, device.g_max / 2)
    series = real.read_series(device, g, g, 0.0, INTERVAL, READS, rng) / g[:, None] - 1
    level = np.full((TRACES, READS), params.full_scale // 2)
    nu = np.zeros_like(level)
    traces = {"real numbers": series}
    for name, correlated in (
        ("integers, independent reads", False),
        ("integers, correlated", True),
    ):
        if correlated and not device.t_read:
            continue
        clock = age(device, 0.0, correlated=correlated, interval=INTERVAL)
        h, s = emulate.conduct(params, level, nu, clock)
        noise = emulate.read(params, h, s, rng) - level
        if correlated:
            noise = noise + emulate.noise(
                params, _slow(params, clock), emulate.draws(rng, (TRACES, 1))
            )
        traces[name] = noise / level
    curves = []
    for name, values in traces.items():
        f, power = welch(values, fs=1 / INTERVAL, nperseg=READS // 4, detrend="constant")
        keep = np.unique(np.geomspace(1, len(f) - 2, 60).astype(int))
        mean = power.mean(0)
        curves.append(
            Curve(
                name=name, x=f[keep].tolist(), y=np.maximum(mean[keep], 1e-30).tolist(), dots=False
            )
        )
    if device.t_read:
        first = curves[0]
        curves.append(
            Curve(
                name="1/f", x=first.x, y=[first.y[3] * first.x[3] / x for x in first.x], dashed=True
            )
        )
    low = min(min(c.y) for c in curves)
    rows = [
        [name, float(values.std(1).mean()), float(values.std())] for name, values in traces.items()
    ]
    return {
        "title": "Spectrum of reads",
        "hint": f"Relative to a conductance of g_max / 2; reads {INTERVAL * 1e6:g} us apart."
        + (CORRELATED if device.t_read else ""),
        "drawing": chart(
            curves,
            Axis(name="Hz", marks=decades(curves[0].x[0], curves[0].x[-1]), log=True),
            Axis(
                name="1/Hz", marks=decades(max(low, 1e-20), max(max(c.y) for c in curves)), log=True
            ),
            "Power spectral density",
        ),
        "head": ["reads", "sd within a run", "sd over devices and runs"],
        "rows": rows,
    }


def _slow(params: DeviceParams, clock: Any) -> int:
    """s of the slow part at half of g_max."""
    half = params.full_scale // 2
    _, s = emulate.conduct(
        params, np.array([half]), np.array([0]), replace(clock, fresh=clock.slow)
    )
    return int(s[0])


def _trade(device: Device, crossbars: Crossbars, say: Callable[[str], None]) -> list[Section]:
    """Pulses against tolerance of program-and-verify, aiming at g_max / 2; nothing if reads can
    tell none of the tolerances."""
    crossbar = Crossbar(rows=64, columns=64, cell_bits=crossbars.cell_bits, adc_bits=10)
    levels = np.full((1, 1, 64, 64), 1 << (crossbars.cell_bits - 2), np.int64)
    rows: list[list[Any]] = []
    for policy in ("redraw", "feedback") if device.kind == "write" else ("redraw",):
        for tolerance in TOLERANCES:
            say(f"program-and-verify, {policy}, tolerance {tolerance:g}")
            wanted = replace(
                crossbars, program_tolerance=tolerance, program_averages=8, adc_bits=10,
                program_policy=policy, max_pulses=1000,
            )  # fmt: skip
            try:
                tolerance_of(wanted, device)
            except UserError:  # below what its reads can tell
                continue
            made, params = program_weights(crossbar, wanted, levels, 0, 1 << 16)
            unit = device.g_max / params.array.device.full_scale
            rows.append([policy, tolerance, params.tolerance * unit, float(made.pulses.mean()),
                         float(made.error.std() * unit), int(made.failed.sum())])  # fmt: skip
    curves = []
    for policy in dict.fromkeys(r[0] for r in rows):
        mine = [r for r in rows if r[0] == policy]
        curves.append(Curve(name=policy, x=[r[1] for r in mine], y=[r[3] for r in mine]))
    if not curves:
        return []
    section: Section = {
        "title": "Program-and-verify",
        "hint": "Pulses of a device against the tolerance, in standard deviations of a read; 4,096 "
        "devices that aim at g_max / 2, 256 reads to a verify.",
        "drawing": chart(
            curves,
            Axis(name="tolerance, sd of a read", marks=marks(TOLERANCES[-1], 8)),
            Axis(name="pulses a device", marks=marks(max(r[3] for r in rows))),
            "Pulses over tolerance",
        ),
        "head": ["policy", "tolerance, sd", "tolerance, uS", "pulses", "error sd, uS", "failed"],
        "rows": rows,
    }
    return [section]


def write_device_page(
    path: Path | str,
    device: Device,
    crossbars: Crossbars,
    *,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Section]:
    """Writes the page beside `path`, then renames it; its sections, without their drawings."""
    path = Path(path)
    check_file(path)
    params, rng = tables(device, crossbars.cell_bits), np.random.default_rng(crossbars.device_seed)
    progress("programmed conductances")
    sections = [programmed(device, params, rng)] if device.kind == "write" else set_pulses(
        device, params, rng
    )  # fmt: skip
    progress("drift")
    sections.append(drift(device, params, rng))
    progress("spectrum")
    sections.append(_spectrum(device, params, rng))
    if device.kind == "pulse" or device.write_sigma(device.g_max / 2) > 0:
        sections += _trade(device, crossbars, progress)
    page = template("device.html.j2").render(
        device=device, sections=sections, bits=params.cell_bits
    )
    beside = path.with_name(path.name + ".new")
    beside.write_text(page, encoding="utf-8")
    beside.replace(path)
    return [{k: v for k, v in s.items() if k != "drawing"} for s in sections]
