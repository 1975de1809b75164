"""How a layer was programmed, for the report and its notes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LayerOnDevices"]


@dataclass(frozen=True, kw_only=True)
class LayerOnDevices:
    """How a layer was programmed.

    blocks, tiles : banks. devices : that its weights have; pulses_per_device, failed, error : of
    these. pulses : of all devices of the banks, columns that were left counted. failed : devices
    that miss their target by more than the tolerance. moved : columns given up for spare ones.
    tolerance, error : of program-and-verify, and the standard deviation of what was reached where
    it did not fail, in shares of g_max. adc_step : weight units of a converter's step, None if it
    samples. chance_error : if it samples, the root mean square of how far the probabilities that
    devices are read as a 1 are from those wanted; None otherwise.
    """

    node: str
    device: str
    sampling: str
    blocks: int
    tiles: int
    rows: int
    columns: int
    devices: int
    pulses: int
    pulses_per_device: float
    failed: int
    moved: int
    tolerance: float
    error: float
    adc_step: float | None
    chance_error: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def note(self) -> dict[str, str]:
        """What the report says of it among all changes."""
        banks = self.blocks * self.tiles
        size = f"{banks} bank{'' if banks == 1 else 's'} of {self.rows} x {self.columns}"
        effect = (
            f"{self.pulses_per_device:.3g} pulses a device; they miss their targets by "
            f"{self.error:.2%} of g_max (standard deviation), {self.failed} by more than the "
            "tolerance; reads are noisy and conductances drift"
        )
        if self.chance_error is not None:
            effect += f"; probabilities of a 1 miss theirs by {self.chance_error:.2g}"
        if self.moved:
            were = "column was moved to a spare one" if self.moved == 1 else (
                "columns were moved to spare ones")  # fmt: skip
            effect += f"; {self.moved} {were}"
        return {
            "node": self.node,
            "change": f"its weights are {self.devices} devices ({self.device}) in {size}",
            "effect": effect,
        }
