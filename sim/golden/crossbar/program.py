"""Program-and-verify of a block in one compiled loop, by hdl/params/crossbar/controller.py."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hdl.params.crossbar.array import Pulse, ReadRange
from hdl.params.crossbar.controller import ControllerParams
from sim.golden.crossbar.array import ArrayModel, code_of, pulse_cell, read_cell
from sim.golden.crossbar.device import clip

__all__ = ["Rules", "measure", "program_block", "rules_of"]

_RESET, _SET, _WRITE = int(Pulse.RESET), int(Pulse.SET), int(Pulse.WRITE)


class Rules(NamedTuple):
    """A ControllerParams for compiled code; gain and offset of range VERIFY, int64 [converters]."""

    cell_bits: int
    adc_bits: int
    averages: int
    tolerance: int
    max_pulses: int
    writes: bool
    feedback: bool
    fault_limit: int
    width: int
    devices: int
    gain: np.ndarray
    offset: np.ndarray


def rules_of(p: ControllerParams, array: ArrayModel) -> Rules:
    """The rules of a controller with this array."""
    return Rules(
        cell_bits=p.array.cell_bits,
        adc_bits=p.array.adc_bits,
        averages=p.averages,
        tolerance=p.tolerance,
        max_pulses=p.max_pulses,
        writes=p.array.device.kind == "write",
        feedback=p.policy == "feedback",
        fault_limit=p.fault_limit,
        width=p.crossbar.width,
        devices=p.crossbar.devices,
        gain=array.gain[ReadRange.VERIFY],
        offset=array.offset[ReadRange.VERIFY],
    )


@njit(cache=True, nogil=True)
def measure(rules, state, h, s, row, column):
    """m of one device; h, s of its bank."""
    a = column % len(rules.gain)
    gain, offset, total = rules.gain[a], rules.offset[a], 0
    for _ in range(1 << rules.averages):
        charge = read_cell(state, h, s, row, column, rules.cell_bits)
        total += code_of(charge, gain, offset, rules.adc_bits)
    return total << max(rules.cell_bits - rules.adc_bits, 0)


@njit(cache=True, nogil=True)
def program_device(rules, d, state, cells, ages, row, column, target, epoch):
    """(pulses, last m, whether it failed) of one device; `cells` of its bank, as `pulse_cell`."""
    bits, pulses, level = rules.averages, 0, target
    h, s = cells[4], cells[5]
    m = measure(rules, state, h, s, row, column)
    while abs(m - (target << bits)) > rules.tolerance << bits:
        if pulses == rules.max_pulses:
            return pulses, m, True
        if rules.writes:
            kind = _WRITE
            if rules.feedback and pulses > 0:
                level = clip(level - ((m - (target << bits)) >> (bits + 1)), rules.cell_bits)
        else:
            kind = _SET if m < target << bits else _RESET
        pulse_cell(d, state, cells, ages, row, column, kind, level, epoch)
        pulses += 1
        m = measure(rules, state, h, s, row, column)
    return pulses, m, False


@njit(cache=True, nogil=True)
def made_up(rules, state, h, s, row, target, column, q):
    """Target of logical column q's device, which makes up for those before it of its sign.

    target, column : of all logical columns, in this row.
    """
    first = q - q % rules.width
    wanted, half = target[q], (1 << rules.averages) >> 1
    for other in range(first + (q - first) % 2, q, 2):
        m = measure(rules, state, h, s, row, column[other])
        wanted += target[other] - ((m + half) >> rules.averages)
    return clip(wanted, rules.cell_bits)


@njit(cache=True, nogil=True)
def program_block(  # type: ignore[no-untyped-def]
    rules, d, state, cells, ages, epoch, target, column, spare, pulses, aim, measured, failed
):
    """Program a block; the next spare column.

    d : Tables of the device. state : of the block's generator. ages : int64 [epochs, 3].
    cells : (g_p, nu, epoch, stuck, h, s), pulses : int64; all [tiles, rows, columns].
    target, and results aim, measured, failed : [logical columns, tiles, rows]: what a device was
        programmed to, its last m, whether it failed.
    column : int64 [logical columns], which move. spare : the next spare column.
    """
    g_p, nu, epochs, stuck, h, s = cells
    places, tiles, rows = target.shape
    for q in range(places):
        last = rules.devices > 1 and q % rules.width >= rules.width - 2
        while True:
            faults = 0
            for t in range(tiles):
                bank = (g_p[t], nu[t], epochs[t], stuck[t], h[t], s[t])
                for r in range(rows):
                    wanted, c = target[q, t, r], column[q]
                    if last:
                        wanted = made_up(rules, state, h[t], s[t], r, target[:, t, r], column, q)
                    count, m, wrong = program_device(
                        rules, d, state, bank, ages, r, c, wanted, epoch
                    )
                    pulses[t, r, c] += count
                    aim[q, t, r], measured[q, t, r], failed[q, t, r] = wanted, m, wrong
                    faults += wrong
            if faults <= rules.fault_limit or spare >= g_p.shape[2]:
                break
            column[q] = spare
            spare += 1
    return spare
