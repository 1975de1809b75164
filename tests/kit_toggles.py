"""Toggles of a waveform: how many bits of a design changed, which is what dynamic power is of."""

from __future__ import annotations

from pathlib import Path

__all__ = ["toggles"]


def toggles(vcd: Path) -> int:
    """Bits that changed in a VCD file, each signal counted once however many names it has.

    Changes from and to x or z don't count, those at the start of the file neither.
    """
    last: dict[str, int] = {}
    count = 0
    with vcd.open() as file:
        for line in file:
            if line.startswith("$enddefinitions"):
                break
        for line in file:
            kind = line[0]
            if kind in "01":
                code, value = line[1:].strip(), int(kind)
            elif kind == "b":
                text, code = line[1:].split()
                if text.strip("01"):
                    last.pop(code, None)
                    continue
                value = int(text, 2)
            else:
                continue
            if code in last:
                count += (last[code] ^ value).bit_count()
            last[code] = value
    return count
