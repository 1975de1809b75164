"""Commands and answers as words, and which commands there are."""

from amaranth.hdl import Signal, signed
from amaranth.lib import data

from hdl.params.crossbar.controller import VALUE_BITS, Command, ControllerParams

__all__ = ["ANSWER", "CALIBRATES", "COMMAND", "LOOKS", "exists"]

#: A command, 64 bits: a Command and its operands. An answer: its value's low bits, a Status.
COMMAND = data.StructLayout({"op": 8, "block": 16, "tile": 16, "row": 10, "column": 7, "value": 7})
ANSWER = data.StructLayout({"value": signed(VALUE_BITS), "status": 2})

#: Commands that only look something up; calibrations.
LOOKS = (Command.FAILED, Command.MOVED, Command.WEAR, Command.FACTOR, Command.MAP)
CALIBRATES = (Command.REFERENCE, Command.COLUMN, Command.GLOBAL)


def exists(m, p: ControllerParams, command):
    """Whether all that a COMMAND names is there: a signal, combinational."""
    a, c = p.array, p.crossbar
    there = Signal()

    def within(name, count):
        field = command[name]
        return 1 if count >> len(field) else field < count

    block, tile, row = (
        within(name, count)
        for name, count in (("block", a.blocks), ("tile", a.tiles), ("row", a.rows))
    )
    place = within("column", c.neurons)
    physical, logical = within("column", a.columns), within("column", p.places)
    is_update = (c.width > 1) | ~command.value[0]
    rules = {
        (Command.RESTART, Command.AGE): 1,
        (Command.VERIFY,): block & tile & row & physical,
        (Command.PROGRAM,): block & within("value", a.epochs),
        (Command.PRODUCT, *(CALIBRATES if c.sampling == "none" else ())): block & tile,
        (Command.FAILED, Command.MOVED): block,
        (Command.WEAR,): block & tile & physical,
        (Command.FACTOR,): block & tile & place,
        (Command.MAP,): block & logical,
    }
    if a.device.kind == "pulse":
        value = within("value", 2 * a.epochs)
        rules[Command.UPDATE,] = block & tile & row & place & value & is_update
    with m.Switch(command.op):
        for commands, rule in rules.items():
            with m.Case(*commands):
                m.d.comb += there.eq(rule)
    return there
