"""What a user may choose about crossbars, checked at construction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdl.params.crossbar.dendrites import SAMPLING
from hdl.params.errors import UserError

__all__ = ["COMPENSATIONS", "Crossbars"]

COMPENSATIONS = ("none", "global", "column")

#: (name, least, most, whole) of numbers.
NUMBERS = (
    ("array_rows", 1, 1024, True),
    ("array_columns", 1, 128, True),
    ("spare_columns", 0, 127, True),
    ("pairs", 1, 8, True),
    ("cell_bits", 8, 12, True),
    ("adc_bits", 1, 16, True),
    ("converters", 1, 128, True),
    ("gain_error", 0, 0.5, False),
    ("offset_error", 0, 1 << 8, False),
    ("program_tolerance", 0, 100, False),
    ("program_averages", 0, 10, True),
    ("max_pulses", 1, 4095, True),
    ("stuck", 0, 1, False),
    ("dead", 0, 1, False),
    ("device_seed", 0, (1 << 32) - 1, True),
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "sampling": SAMPLING,
    "coding": ("serial", "width"),
    "program_policy": ("redraw", "feedback"),
    "correlated": (False, True),
}


@dataclass(frozen=True, kw_only=True)
class Crossbars:
    """Layers with `engine` "crossbar".

    device : name in the table of devices (sim/device/devices.toml).
    device_table : a table of the user's own that is read too (.toml); None: none.
    array_rows, array_columns : of a bank, 1..1024 and 1..128; larger layers take several.
    spare_columns : columns of a bank that take the place of broken ones.
    pairs : differential pairs that a weight is spread over, 1..8.
    sampling : "none" (weights are conductances), "binary" or "ternary" (weights are drawn in each
        read; the model's are their means).
    coding : of values of several bits, "serial" (bit by bit) or "width" (of pulses).
    cell_bits : of a conductance, 8..12.
    adc_bits : of a converter, 1..16. converters : of a bank, each shared by columns.
    gain_error, offset_error : standard deviation of converters' gains (relative), offsets (codes).
    program_tolerance : of program-and-verify, in standard deviations of a read at half of the
        largest conductance. program_averages : log2 of the reads of a verify. program_policy :
        "redraw" or "feedback". max_pulses : of a device.
    stuck, dead : shares of devices that can't be programmed: that stay somewhere, or at 0.
    correlated : reads share the slow part of the 1/f noise, instead of being independent.
    device_seed : of faults, converters' errors, programming and reads.
    """

    device: str = "pcm"
    device_table: Path | str | None = None
    array_rows: int = 64
    array_columns: int = 64
    spare_columns: int = 0
    pairs: int = 1
    sampling: str = "none"
    coding: str = "serial"
    cell_bits: int = 10
    adc_bits: int = 8
    converters: int = 1
    gain_error: float = 0.0
    offset_error: float = 0.0
    program_tolerance: float = 0.5
    program_averages: int = 4
    program_policy: str = "redraw"
    max_pulses: int = 64
    stuck: float = 0.0
    dead: float = 0.0
    correlated: bool = False
    device_seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high, whole in NUMBERS:
            value = getattr(self, name)
            number = isinstance(value, int if whole else int | float)
            if not number or isinstance(value, bool) or not low <= value <= high:
                what = "a whole number" if whole else "a number"
                raise UserError(
                    f"{name}: must be {what} in {low}..{high}, not {value!r}; change the setting"
                )
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if not any(value is choice or (value == choice and isinstance(value, str))
                       for choice in choices):  # fmt: skip
                listed = ", ".join(str(choice).lower() for choice in choices)
                raise UserError(
                    f"{name}: must be one of {listed}, not {value!r}; change the setting"
                )
        if self.stuck + self.dead > 1:
            raise UserError(
                f"stuck, dead: are shares of all devices, {self.stuck:g} and {self.dead:g} add up "
                "to more than 1; change the settings"
            )
        if self.sampling != "none" and self.pairs > 1:
            raise UserError(
                f"pairs: a sampled weight has one device a sign, not {self.pairs}; leave it out"
            )
        width = {"none": 2 * self.pairs, "binary": 1, "ternary": 2}[self.sampling]
        if self.array_columns < width + self.spare_columns:
            raise UserError(
                f"array_columns: a weight takes {width} columns beside {self.spare_columns} spare "
                f"ones, the array has {self.array_columns}; use a larger array (--array)"
            )
        if self.converters > self.array_columns:
            raise UserError(
                f"converters: at most one for each of {self.array_columns} columns, "
                f"not {self.converters}; change the setting"
            )
        if not isinstance(self.device, str):
            raise UserError(f"device: must be a name, not {self.device!r}; change the setting")
        if not isinstance(self.device_table, Path | str | None):
            raise UserError(
                f"device_table: must be a file, not {self.device_table!r}; change the setting"
            )
