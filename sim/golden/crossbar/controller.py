"""The controller, command by command, by the equations of hdl/params/crossbar/controller.py."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from hdl.params.crossbar.array import ArrayMemory, Pulse, ReadRange
from hdl.params.crossbar.controller import (
    COUNT_BITS,
    WEAR_BITS,
    Command,
    ControllerMemory,
    ControllerParams,
    Status,
)
from hdl.params.crossbar.dendrites import FACTOR_BITS
from sim.golden.crossbar.array import ArrayModel
from sim.golden.crossbar.program import measure, program_block, rules_of

__all__ = ["ControllerModel", "ratio"]

_CALIBRATE = (Command.REFERENCE, Command.COLUMN, Command.GLOBAL)


def ratio(reference: np.ndarray, now: np.ndarray, unit: int) -> np.ndarray:
    """The factors that bring readouts back to what they were, int64."""
    made = (reference * unit + (now >> 1)) // np.maximum(now, 1)
    most = (1 << FACTOR_BITS) - 1
    made = np.where(now > 0, np.minimum(made, most), most)
    return np.where(reference > 0, made, unit)


class ControllerModel:
    """Golden twin of `hdl.crossbar.controller.Controller`, with its array.

    Members
    -------
    array : ArrayModel.
    target, aim : int64 [blocks, logical columns, tiles, rows]; `aim` is a device's target at
        the last Program, with what it made up for.
    measured, failed : of the same shape, the last m, and whether it missed its aim.
    column : int64 [blocks, logical columns]. factor, kept : int64 [blocks, tiles, neurons].
    pulses : int64 [blocks, tiles, rows, columns], since the last reset.
    pulse_count, moved : of each block, pulses of its last Program, columns moved since reset.
    input : int64 [rows].
    """

    def __init__(self, params: ControllerParams) -> None:
        self.params = p = params
        a, x = p.array, p.crossbar
        self.array = ArrayModel(a)
        shape = (a.blocks, p.places, a.tiles, a.rows)
        self.target = np.zeros(shape, np.int64)
        self.factor = np.full((a.blocks, a.tiles, x.neurons), p.unit, np.int64)
        self.kept = np.zeros_like(self.factor)
        self.input = np.zeros(a.rows, np.int64)
        self.reset()

    def reset(self) -> None:
        """Counts to 0, columns to where they were at first."""
        a, shape = self.params.array, self.target.shape
        self.aim, self.measured = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.failed = np.zeros(shape, bool)
        self.column = np.tile(np.arange(self.params.places), (a.blocks, 1))
        self.pulses = np.zeros((a.blocks, a.tiles, a.rows, a.columns), np.int64)
        self.moved = np.zeros(a.blocks, np.int64)
        self.updates = 0

    def configure(self, memory: int, address: int, data: int) -> None:
        """Write one item of an ArrayMemory or ControllerMemory."""
        if memory not in ControllerMemory.__members__.values():
            self.array.configure(ArrayMemory(memory), address, data)
            return
        wide = self.params.crossbar.value_bits + 1
        if memory == ControllerMemory.TARGET:
            self.target.reshape(-1)[address] = data
        elif memory == ControllerMemory.FACTOR:
            self.factor.reshape(-1)[address] = data
        else:
            signed = wide > 1 and data >> (wide - 1) & 1
            self.input[address] = (data & ((1 << wide) - 1)) - (signed << wide)

    def run(
        self,
        command: int,
        *,
        block: int = 0,
        tile: int = 0,
        row: int = 0,
        column: int = 0,
        value: int = 0,
    ) -> list[tuple[Status, int]]:
        """Answers (status, value) of one command; operands: see `Command`."""
        named = (block, tile, row, column, value)
        limits = self.limits.get(command)
        if limits is None or not all(
            0 <= given < most for given, most in zip(named, limits, strict=False)
        ):
            return [(Status.ERROR, 0)]
        if command == Command.UPDATE and value & 1 and self.params.crossbar.width == 1:
            return [(Status.ERROR, 0)]
        return self._done(command, *named)

    @cached_property
    def limits(self) -> dict[int, tuple[float, ...]]:
        """Of each command that there is: how many blocks, tiles, rows, columns, values."""
        p, a, x = self.params, self.params.array, self.params.crossbar
        block, any_ = (a.blocks,), math.inf
        bank = (*block, a.tiles)
        limits: dict[int, tuple[float, ...]] = {
            Command.RESTART: (),
            Command.AGE: (),
            Command.VERIFY: (*bank, a.rows, a.columns),
            Command.PROGRAM: (*block, any_, any_, any_, a.epochs),
            Command.PRODUCT: bank,
            Command.FAILED: block,
            Command.MOVED: block,
            Command.WEAR: (*bank, any_, a.columns),
            Command.FACTOR: (*bank, any_, x.neurons),
            Command.MAP: (*block, any_, any_, p.places),
        }
        if a.device.kind == "pulse":
            limits[Command.UPDATE] = (*bank, a.rows, x.neurons, 2 * a.epochs)
        if x.sampling == "none":
            limits |= dict.fromkeys(_CALIBRATE, bank)
        return limits

    def _done(
        self, command: int, block: int, tile: int, row: int, column: int, value: int
    ) -> list[tuple[Status, int]]:
        status, bank = Status.DONE, block * self.params.array.tiles + tile
        answers: Iterable[int] = [0]
        if command == Command.RESTART:
            self.array.restart()
        elif command == Command.AGE:
            self.array.age()
        elif command == Command.VERIFY:
            rules, state = rules_of(self.params, self.array), self.array.states[block]
            answers = [measure(rules, state, self.array.h[bank], self.array.s[bank], row, column)]
        elif command == Command.PROGRAM:
            answers = [self.program(block, value)]
            status = Status.FAILED if self.failed[block].any() else status
        elif command == Command.UPDATE:
            answers = [self._update(block, tile, row, column, value)]
        elif command == Command.PRODUCT:
            answers = self._product(block, tile)
        elif command in _CALIBRATE:
            answers = [self._calibrate(block, tile, Command(command))]
        elif command == Command.FAILED:
            answers = [int(np.count_nonzero(self.failed[block]))]
        elif command == Command.MOVED:
            answers = [self.moved[block]]
        elif command == Command.WEAR:
            counted = self.pulses[block, tile, :, column].sum()
            answers = [min(counted, (1 << WEAR_BITS) - 1)]
        elif command == Command.FACTOR:
            answers = [self.factor[block, tile, column]]
        else:
            answers = [self.column[block, column]]
        return [(status, int(answer)) for answer in answers]

    def program(self, block: int, epoch: int = 0) -> int:
        """Program a block; the pulses that it took."""
        p, m = self.params, self.array
        banks = slice(block * p.array.tiles, (block + 1) * p.array.tiles)
        cells = tuple(array[banks] for array in (m.g_p, m.nu, m.epoch, m.stuck, m.h, m.s))
        before, spare = self.pulses[block].sum(), p.places + int(self.moved[block])
        spare = program_block(
            rules_of(p, m), m.tables, m.states[block], cells, m.ages, epoch, self.target[block],
            self.column[block], spare, self.pulses[block], self.aim[block], self.measured[block],
            self.failed[block],
        )  # fmt: skip
        self.moved[block] = spare - p.places
        return min(int(self.pulses[block].sum() - before), (1 << COUNT_BITS) - 1)

    def _update(self, block: int, tile: int, row: int, place: int, value: int) -> int:
        x = self.params.crossbar
        k = self.updates % x.devices
        column = int(self.column[block, place * x.width + 2 * k + (value & 1)])
        bank = block * self.params.array.tiles + tile
        self.array.pulse(bank, row, column, Pulse.SET, epoch=value >> 1)
        self.pulses[block, tile, row, column] += 1
        self.updates += 1
        return k

    def _differences(self, block: int, driven: int) -> np.ndarray:
        """d of all places after a read that drove so many rows, int64 [neurons]."""
        x = self.params.crossbar
        kind = ReadRange.MVM if x.sampling == "none" else ReadRange.COUNT
        self.array.sample()
        codes = np.array([self.array.convert(int(c), kind) for c in self.column[block]])
        if x.sampling == "binary":
            return 2 * codes - driven
        pairs = codes.reshape(x.neurons, -1, 2)
        return (pairs[..., 0] - pairs[..., 1]).sum(axis=1)

    def _product(self, block: int, tile: int) -> np.ndarray:
        x, p = self.params.crossbar, self.params.crossbar.value_bits
        bank, sense = block * self.params.array.tiles + tile, x.sampling != "none"
        acc = np.zeros(x.neurons, np.int64)
        for sign in (1, -1) if p else (1,):
            value = np.maximum(sign * self.input, 0)
            if x.input == "serial":
                trains = [(1 << k, [value >> k & 1 > 0]) for k in range(max(p, 1))]
            else:
                trains = [(1, [value > u for u in range(max(1 << p, 2) - 1)])]
            for place, train in trains:
                driven = 0
                for drive in train:
                    rows = int(drive.sum())
                    if rows:
                        self.array.read(bank, drive, hold=driven > 0, sense=sense)
                    driven += rows
                if driven:
                    acc += sign * place * self._differences(block, driven)
        total = self.factor[block, tile] * acc
        return (total + (1 << (x.fraction - 1))) >> x.fraction

    def _calibrate(self, block: int, tile: int, command: Command) -> int:
        p, bank = self.params, block * self.params.array.tiles + tile
        readout = np.zeros(p.crossbar.neurons, np.int64)
        for drive in np.eye(p.array.rows, dtype=np.int64):
            self.array.read(bank, drive)
            readout += np.abs(self._differences(block, 1))
        kept, factor = self.kept[block, tile], self.factor[block, tile]
        if command == Command.REFERENCE:
            kept[:], factor[:] = readout, p.unit
        elif command == Command.COLUMN:
            factor[:] = ratio(kept, readout, p.unit)
        else:
            factor[:] = ratio(kept.sum(), readout.sum(), p.unit)
        return int(readout.sum())
