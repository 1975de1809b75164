# amaranth: UnusedElaboratable=no
"""What a controller refuses, and what it does when its array fails."""

import pytest

from hdl.crossbar.command import COMMAND
from hdl.params.crossbar.array import ArrayMemory
from hdl.params.crossbar.controller import Command, ControllerMemory, Status
from tests.crossbar.kit_behind import Behind, run_rtl
from tests.crossbar.kit_commands import Config, Order, make

SIZES = {"block": 3, "tile": 2, "row": 3, "column": 5, "value": 2}
NEURONS, PLACES = 2, 4

#: The operands of each command, with the number of things that there are.
OPERANDS = {
    Command.RESTART: {},
    Command.AGE: {},
    Command.VERIFY: {"block": 3, "tile": 2, "row": 3, "column": 5},
    Command.PROGRAM: {"block": 3, "value": 2},
    Command.UPDATE: {"block": 3, "tile": 2, "row": 3, "column": NEURONS, "value": 4},
    Command.PRODUCT: {"block": 3, "tile": 2},
    Command.REFERENCE: {"block": 3, "tile": 2},
    Command.COLUMN: {"block": 3, "tile": 2},
    Command.GLOBAL: {"block": 3, "tile": 2},
    Command.FAILED: {"block": 3},
    Command.MOVED: {"block": 3},
    Command.WEAR: {"block": 3, "tile": 2, "column": 5},
    Command.FACTOR: {"block": 3, "tile": 2, "column": NEURONS},
    Command.MAP: {"block": 3, "column": PLACES},
}


def controller(**change):
    shape = {"rows": 3, "columns": 5, "spares": 1, "tiles": 2, "blocks": 3, "epochs": 2}
    return make(**({"kind": "pulse"} | shape | change))


def answers(p, steps, counts=None, **options):
    orders = [step for step in steps if isinstance(step, Order)]
    behind = Behind(p, 1)
    got, _ = run_rtl(p, steps, counts or [1] * len(orders), behind, **options)
    return got, behind


def wrong_orders():
    """Each command with each operand one too far, and as far as its field goes."""
    for op, counts in OPERANDS.items():
        for name, count in counts.items():
            for value in {count, (1 << COMMAND[name].width) - 1}:
                yield Order(op, **{name: value})
    yield from (Order(op) for op in (len(Command), 15, 16, 128 + Command.PROGRAM, 255))


def test_wrong_commands_do_nothing():
    """One ERROR each, of value 0, and the array is not touched."""
    p = controller()
    orders = list(wrong_orders())
    got, behind = answers(p, orders)
    assert got == [[(Status.ERROR, 0)]] * len(orders)
    assert behind.operations == 0


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"kind": "write"}, [Order(Command.UPDATE)]),
        (
            {"sampling": "ternary"},
            [Order(op) for op in (Command.REFERENCE, Command.COLUMN, Command.GLOBAL)],
        ),
        ({"sampling": "binary"}, [Order(Command.UPDATE, value=1), Order(Command.UPDATE, value=3)]),
    ],
)
def test_what_this_array_cannot_do(change, wrong):
    got, behind = answers(controller(**change), wrong)
    assert got == [[(Status.ERROR, 0)]] * len(wrong)
    assert behind.operations == 0


def test_operands_that_a_command_does_not_have_are_ignored():
    """All ones where a command has no operand."""
    p = controller()
    full = {name: (1 << COMMAND[name].width) - 1 for name in SIZES}
    orders = [
        Order(op, **(full | dict.fromkeys(counts, 0)))
        for op, counts in OPERANDS.items()
        if op not in (Command.PROGRAM, Command.PRODUCT)
    ]
    got, _ = answers(p, orders)
    assert [status for ((status, _),) in got] == [Status.DONE] * len(orders)


def test_configuration_during_a_command_is_lost():
    """What is written while a command runs changes nothing, in the array or outside; what is
    written before it does."""
    p, cell = make(rows=1, columns=2, noise=0), 200
    before = [Config(ControllerMemory.FACTOR, 0, 7), Config(ArrayMemory.CELL, 0, cell)]
    orders = [Order(Command.AGE), Order(Command.FACTOR), Order(Command.AGE), Order(Command.VERIFY)]
    during = [Config(ControllerMemory.FACTOR, 0, 9), Config(ArrayMemory.CELL, 0, 100)]
    got, _ = answers(p, [*before, *orders], hurried=during)
    assert [answer for (answer,) in got[1::2]] == [(Status.DONE, 7), (Status.DONE, 2 * cell)]


@pytest.mark.parametrize(
    ("dies", "ops", "late"),
    [
        (1, [Command.AGE, Command.PROGRAM, Command.PRODUCT, Command.RESTART, Command.MAP], 4),
        (12, [Command.PROGRAM, Command.WEAR, Command.FACTOR], 1),
    ],
)
def test_an_array_that_stops_answering(dies, ops, late):
    """Every command ends, from then on with TIMEOUT if it needs the array; others are answered."""
    p = make(rows=2, columns=4, noise=0, control={"averages": 0, "max_pulses": 2})
    fill = [Config(ControllerMemory.TARGET, k, 256) for k in range(8)]
    fill.append(Config(ControllerMemory.INPUT, 0, 1))
    behind = Behind(p, 1, sleeps={dies: 10**9})
    got, took = run_rtl(p, [*fill, *(Order(op) for op in ops)], [1] * len(ops), behind)
    assert [answer for (answer,) in got[:late]] == [(Status.TIMEOUT, 0)] * late
    assert all(status == Status.DONE for ((status, _),) in got[late:])
    assert all(p.patience <= cycles < p.patience + 200 for cycles in took[:late])


def test_a_command_after_a_timeout():
    """An array that comes back is used again."""
    p, cell = make(rows=2, columns=4, noise=0), 200
    steps = [
        Config(ArrayMemory.CELL, 5, cell),
        Order(Command.AGE),
        Order(Command.VERIFY, 0, 0, 1, 1),
    ]
    behind = Behind(p, 1, sleeps={1: p.patience + 50})
    got, took = run_rtl(p, steps, [1, 1], behind)
    assert got == [[(Status.TIMEOUT, 0)], [(Status.DONE, 2 * cell)]]
    assert took[1] > 40
