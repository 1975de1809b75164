"""Program-and-verify, word for word as the equations in plain Python."""

import numpy as np
import pytest

from hdl.params.crossbar.controller import Command, ControllerParams, Status
from hdl.params.crossbar.device import Age
from sim.device.integer import age, tables
from sim.device.table import find_device
from sim.golden.crossbar.controller import ControllerModel
from sim.golden.crossbar.layer import program_layer
from tests.crossbar.kit_controller import both, params, retarget, same

PCM, PULSE = find_device("pcm"), find_device("pcm-pulse")
PCM10, PCM8, PULSE10 = tables(PCM, 10), tables(PCM, 8), tables(PULSE, 10)
NOW = age(PCM, 0.0)
SLOW = age(PCM, 0.0, correlated=True)
DAY = age(PCM, 86400.0, correlated=True)
NEW = age(PULSE, 0.0)
CASES = {
    "one device": (PCM10, [NOW], {"rows": 1, "columns": 2}, {}, {}),
    "odd sizes": (PCM10, [NOW], {"rows": 3, "columns": 7, "tiles": 3, "blocks": 2}, {}, {}),
    "feedback": (
        PCM10, [SLOW], {"tiles": 2, "adc_bits": 8}, {}, {"policy": "feedback", "tolerance": 9},
    ),
    "offsets": (
        PCM8, [SLOW], {"columns": 5, "adc_bits": 6, "converters": 3, "blocks": 3,
                       "gain": ((0,) * 3, (16384, 15000, 17000)),
                       "offset": ((0,) * 3, (-40000, 0, 70000))},
        {}, {"averages": 3, "max_pulses": 9},
    ),
    "two pairs": (PCM10, [NOW], {"rows": 3, "columns": 9}, {"devices": 2}, {"averages": 0}),
    "three pairs": (
        PCM10, [NOW, DAY], {"columns": 13, "epochs": 2}, {"devices": 3}, {"averages": 1},
    ),
    "pulses": (PULSE10, [NEW], {"rows": 3, "blocks": 2}, {}, {"tolerance": 40, "averages": 4}),
    "pulses, pairs": (
        PULSE10, [NEW, NEW], {"columns": 5, "epochs": 2}, {"devices": 2}, {"tolerance": 60},
    ),
    "binary": (PCM10, [NOW], {"columns": 3}, {"sampling": "binary", "spares": 1}, {}),
    "ternary": (PCM10, [NOW], {"columns": 5}, {"sampling": "ternary"}, {"fault_limit": 1}),
}  # fmt: skip


@pytest.mark.parametrize("faults", [0.0, 0.25], ids=["sound", "faulty"])
@pytest.mark.parametrize("name", CASES)
def test_as_the_equations(name, faults):
    """Blocks programmed, again (a refresh) in the last epoch, to other targets, verifies between;
    without faults all devices, with them until spares run out."""
    device, ages, array, crossbar, control = CASES[name]
    seed = len(name)
    p = params(device, {"seed": seed} | array, crossbar, **control)
    model, plain = both(p, ages, seed, faults=faults)
    rng = np.random.default_rng(seed)
    for turn in range(3):
        for block in reversed(range(p.array.blocks)):
            epoch = p.array.epochs - 1 if turn else 0
            answer = plain.program(block, epoch)
            found = model.run(Command.PROGRAM, block=block, value=epoch)
            assert found == [answer], (name, seed, turn, block)
            same(model, plain, (name, seed, turn))
            t, r, c = (int(rng.integers(n)) for n in (p.array.tiles, p.array.rows, p.array.columns))
            m = plain.measure(block * p.array.tiles + t, r, c)
            found = model.run(Command.VERIFY, block=block, tile=t, row=r, column=c)
            assert found == [(Status.DONE, m)], (name, seed, turn, block)
        if turn:
            retarget(p, model, plain, rng)
    model.run(Command.RESTART)
    plain.array.restart()
    same(model, plain, (name, seed, "restart"))
    model.reset()
    for b in range(p.array.blocks):
        assert model.run(Command.MOVED, block=b) == [(Status.DONE, 0)]
        assert [model.run(Command.MAP, block=b, column=q)[0][1] for q in range(p.places)] == list(
            range(p.places)
        )


def test_updates_take_turns():
    """One counter for the whole array, whichever weight is meant."""
    p = params(PULSE10, {"rows": 2, "columns": 13, "tiles": 2, "blocks": 2, "epochs": 2, "seed": 5},
               {"devices": 3, "spares": 1}, tolerance=40)  # fmt: skip
    model, plain = both(p, [NEW, NEW], 5, faults=0.05)
    rng = np.random.default_rng(5)
    for number in range(40):
        at = [int(rng.integers(n)) for n in (2, 2, 2, 2)]
        negative, epoch = (int(v) for v in rng.integers(2, size=2))
        answer = plain.update(*at, negative, epoch)
        names = dict(zip(("block", "tile", "row", "column"), at, strict=True))
        found = model.run(Command.UPDATE, **names, value=2 * epoch + negative)
        assert found == [answer] == [(Status.DONE, number % 3)]
    same(model, plain, "updates")


def test_dead_devices_move_columns_until_spares_run_out():
    """Two dead columns, one spare: the first is moved and whole, the second stays and counts."""
    p = params(tables(find_device("ideal"), 10), {"rows": 4, "columns": 7, "adc_bits": 10},
               {"spares": 1}, tolerance=1, max_pulses=5)  # fmt: skip
    stuck = np.zeros((1, 1, 4, 7), bool)
    stuck[..., [1, 4]] = True
    targets = np.full((1, 1, 4, 6), 100)
    done = program_layer(p, targets, Age(), stuck=stuck)
    assert done.column.tolist() == [[0, 6, 2, 3, 4, 5]]
    assert done.moved.tolist() == [1]
    assert np.argwhere(done.failed)[:, 3].tolist() == [4] * 4
    # a device of an ideal sort takes one pulse, one that is dead all that it is given
    assert done.pulses[0, 0].tolist() == [[1, 5, 1, 1, 5, 1, 1]] * 4
    assert (done.error[0, 0] == [0, 0, 0, 0, -100, 0]).all()
    # within the limit of faults nothing moves
    kept = ControllerParams(array=p.array, crossbar=p.crossbar, tolerance=1, fault_limit=4)
    assert program_layer(kept, targets, Age(), stuck=stuck).column.tolist() == [list(range(6))]
    # devices stuck where they should be are as good as others
    right = program_layer(p, targets, Age(), stuck=stuck, level=np.full((1, 1, 4, 7), 101))
    assert not right.failed.any()
    assert right.moved.tolist() == [0]
    assert right.pulses.sum() == 16


def test_counts_stop_at_their_width():
    """4097 dead devices of 4095 pulses each are more than 2**24 - 1."""
    p = params(tables(find_device("ideal"), 8), {"rows": 1024, "columns": 2, "tiles": 5,
               "adc_bits": 8}, {}, tolerance=0, averages=0, max_pulses=4095)  # fmt: skip
    model, most = ControllerModel(p), (1 << 24) - 1
    model.array.stuck[:] = 1
    model.target[0, 0, :4] = model.target[0, 0, 4, 0] = 9
    assert model.run(Command.PROGRAM) == [(Status.FAILED, most)]
    assert model.run(Command.FAILED) == [(Status.DONE, 4097)]
    assert model.run(Command.WEAR, tile=3) == [(Status.DONE, 1024 * 4095)]
    assert model.run(Command.WEAR, tile=4) == [(Status.DONE, 4095)]
    model.pulses *= 5
    assert model.run(Command.WEAR, tile=3) == [(Status.DONE, most)]
    assert model.run(Command.WEAR, tile=3, column=1) == [(Status.DONE, 0)]
    model.reset()
    assert model.run(Command.WEAR) == model.run(Command.FAILED) == [(Status.DONE, 0)]


def test_what_is_not_there_is_an_error():
    p = params(PCM10, {"blocks": 2, "tiles": 3, "epochs": 2}, {"spares": 1})
    pulses = params(PULSE10, {"columns": 3}, {"sampling": "binary"})
    model = ControllerModel(p)
    before = model.array.states.copy()
    wrong = [
        (14, {}), (-1, {}), (Command.VERIFY, {"block": 2}), (Command.VERIFY, {"tile": 3}),
        (Command.VERIFY, {"row": 2}), (Command.VERIFY, {"column": 4}),
        (Command.PROGRAM, {"block": 2}), (Command.PROGRAM, {"value": 2}),
        (Command.UPDATE, {}), (Command.PRODUCT, {"block": 2}), (Command.PRODUCT, {"tile": 3}),
        (Command.REFERENCE, {"tile": 3}), (Command.COLUMN, {"block": 2}),
        (Command.GLOBAL, {"block": 2}), (Command.FAILED, {"block": 2}),
        (Command.MOVED, {"block": 2}), (Command.WEAR, {"column": 4}), (Command.WEAR, {"tile": 3}),
        (Command.FACTOR, {"column": 1}), (Command.MAP, {"column": 2}),
    ]  # fmt: skip
    for command, operands in wrong:
        assert model.run(command, **operands) == [(Status.ERROR, 0)], (command, operands)
    assert (model.array.states == before).all()
    model = ControllerModel(pulses)
    for command, operands in (
        (Command.UPDATE, {"value": 1}), (Command.UPDATE, {"value": 2}),
        (Command.UPDATE, {"column": 3}), (Command.REFERENCE, {}), (Command.GLOBAL, {}),
    ):  # fmt: skip
        assert model.run(command, **operands) == [(Status.ERROR, 0)], (command, operands)
    assert model.run(Command.UPDATE, column=2) == [(Status.DONE, 0)]


def test_devices_as_delivered():
    """What is within the tolerance stays as it was delivered, what is stuck as its level says."""
    p = params(PCM10, {"rows": 3, "columns": 5}, {"spares": 1}, tolerance=200)
    rng = np.random.default_rng(2)
    g, nu = rng.integers(0, 50, (1, 1, 3, 5)), rng.integers(0, 512, (1, 1, 3, 5))
    stuck = np.arange(5) == rng.integers(5, size=(1, 1, 3, 1))
    level = rng.integers(0, 100, (1, 1, 3, 5))
    targets = np.full((1, 1, 3, 4), 30)
    done = program_layer(p, targets, NOW, delivered=(g, nu))
    assert (done.conductance == g).all()
    assert (done.exponent == nu).all()
    done = program_layer(p, targets, NOW, delivered=(g, nu), stuck=stuck)
    assert (done.conductance == g).all()
    done = program_layer(p, targets, NOW, delivered=(g, nu), stuck=stuck, level=level)
    assert (done.conductance == np.where(stuck, level, g)).all()
    assert (done.exponent == np.where(stuck, 0, nu)).all()
    assert not done.pulses.any()
    assert (done.error[0, 0] == done.conductance[0, 0, :, :4] - 30).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"targets": np.zeros((1, 1, 2, 3), int)}, ValueError, r"targets must be of shape \(1, 1"),
        ({"targets": np.zeros((1, 1, 2, 4))}, TypeError, "targets must be integers, not float64"),
        ({"targets": np.full((1, 1, 2, 4), 1024)}, ValueError,
         r"targets\[0, 0, 0, 0\] must be in 0..1023, not 1024"),
        ({"targets": np.full((1, 1, 2, 4), -1)}, ValueError, "in 0..1023, not -1"),
        ({"stuck": np.zeros((2, 4), bool)}, ValueError, "stuck must be of shape"),
        ({"stuck": np.ones((1, 1, 2, 4), bool), "level": np.full((1, 1, 2, 4), 2048)}, ValueError,
         "must be in 0..1023, not 2048"),
        ({"delivered": (np.zeros((1, 1, 2, 4), int), np.full((1, 1, 2, 4), 512))}, ValueError,
         "nu.*must be in 0..511, not 512"),
    ],
)  # fmt: skip
def test_wrong_layers(change, error, message):
    given = {"targets": np.zeros((1, 1, 2, 4), int)} | change
    with pytest.raises(error, match=message):
        program_layer(params(PCM10, {}, {}), age=NOW, **given)


def test_blocks_are_programmed_alike_whatever_stands_beside_them():
    """A layer of three blocks is three layers of one, each with its own generator."""
    rng = np.random.default_rng(8)
    targets = rng.integers(0, 513, (3, 2, 3, 4))
    sizes = {"rows": 3, "columns": 5, "tiles": 2, "seed": 8}
    whole = program_layer(params(PCM10, sizes | {"blocks": 3}, {"spares": 1}), targets, NOW)
    for b in range(3):
        one = params(PCM10, sizes | {"first_entity": b}, {"spares": 1})
        part = program_layer(one, targets[b : b + 1], NOW)
        for name in ("conductance", "exponent", "pulses", "column", "aim", "error", "failed"):
            assert (getattr(part, name)[0] == getattr(whole, name)[b]).all(), (b, name)
