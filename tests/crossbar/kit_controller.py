"""Controllers for tests: made, filled at random, compared with the equations in plain Python."""

from itertools import product

import numpy as np

from hdl.params.crossbar.array import ArrayMemory, ArrayParams
from hdl.params.crossbar.controller import Command, ControllerMemory, ControllerParams, Status
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import Age, DeviceParams
from sim.golden.crossbar.controller import ControllerModel
from tests.crossbar.kit_plain import PlainController


def params(device: DeviceParams, array: dict, crossbar: dict, **control) -> ControllerParams:
    """A controller; `array` has the sizes, `crossbar` what it has beside."""
    sizes = {"rows": 2, "columns": 4, "adc_bits": 10, "converters": 1} | array
    shared = {k: sizes[k] for k in ("rows", "columns", "adc_bits", "converters")}
    x = Crossbar(cell_bits=device.cell_bits, **shared, **crossbar)
    a = ArrayParams(device=device, **{"train": x.train} | sizes)
    return ControllerParams(array=a, crossbar=x, **{"tolerance": 4, "averages": 2} | control)


def both(
    p: ControllerParams, ages: list[Age], seed: int, *, faults: float = 0.0, most: float = 1.0
) -> tuple[ControllerModel, PlainController]:
    """Model and plain controller with the same random targets, devices that are stuck (of any
    level) or dead, written as the configuration port does; aged."""
    rng = np.random.default_rng(seed)
    a = p.array
    model, plain = ControllerModel(p), PlainController(p, ages)
    for number, (at, cell) in enumerate(plain.array.cells.items()):
        assert number == (at[0] * a.rows + at[1]) * a.columns + at[2]
        g, nu = (int(v) for v in rng.integers(0, (1 << a.cell_bits, 60)))
        stuck = int(rng.random() < faults)
        dead = stuck and rng.random() < 0.5
        cell[:4] = [0 if dead else g, nu, 0, stuck]
        item = cell[0] | nu << a.cell_bits | stuck << (a.cell_bits + 9 + a.epoch_bits)
        model.configure(ArrayMemory.CELL, number, item)
    for epoch, one in enumerate(ages):
        for k, word in enumerate((one.log_age, one.fresh, one.slow)):
            model.configure(ArrayMemory.AGE, epoch * 4 + k, word)
    retarget(p, model, plain, rng, most)
    plain.array.age()
    assert model.run(Command.AGE) == [(Status.DONE, 0)]
    return model, plain


def retarget(p, model, plain, rng, most: float = 1.0) -> None:
    """Other targets, in both."""
    a = p.array
    order = product(range(a.blocks), range(p.places), range(a.tiles), range(a.rows))
    for number, at in enumerate(order):
        plain.target[at] = int(rng.integers(0, int(most * (1 << a.cell_bits - 1)) + 1))
        model.configure(ControllerMemory.TARGET, number, plain.target[at])


def same(model: ControllerModel, plain: PlainController, note: object) -> None:
    """All state that a controller and its array have."""
    p, a = plain.p, plain.p.array
    for at, cell in plain.array.cells.items():
        found = [int(array[at]) for array in (
            model.array.g_p, model.array.nu, model.array.epoch, model.array.stuck, model.array.h,
            model.array.s)]  # fmt: skip
        assert found == cell, (note, at)
    assert model.array.states.tolist() == plain.array.states, note
    for b in range(a.blocks):
        assert model.run(Command.FAILED, block=b) == [(Status.DONE, plain.failed[b])], note
        assert model.run(Command.MOVED, block=b) == [(Status.DONE, plain.moved[b])], note
        mapped = [model.run(Command.MAP, block=b, column=q)[0][1] for q in range(p.places)]
        assert mapped == plain.map[b], note
    for (bank, column), wear in plain.wear.items():
        block, tile = divmod(bank, a.tiles)
        answer = model.run(Command.WEAR, block=block, tile=tile, column=column)
        assert answer == [(Status.DONE, wear)], (note, bank, column)
