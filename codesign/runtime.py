"""What an artefact runs with: everything that hardware can change without a new build."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.crossbar.settings import Crossbars
    from mapping.program import Program

__all__ = ["AS_COMPILED", "RunTime"]


@dataclass(frozen=True, kw_only=True)
class RunTime:
    """Choices at run time; None: what the model was compiled with.

    stream_length, tolerance, margin : of stochastic layers; below 0, tolerance or margin end that
    kind of early termination. age : seconds since the devices of crossbars were programmed.
    compensation : of their drift, "none", "global" or "column". noise_seed : of their reads.
    """

    stream_length: int | None = None
    tolerance: float | None = None
    margin: int | None = None
    age: float | None = None
    compensation: str | None = None
    noise_seed: int | None = None

    def given(self) -> dict[str, Any]:
        """What was chosen."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    def options(self) -> list[str]:
        """The choices as on the command line."""
        return [
            word
            for name, value in self.given().items()
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]

    def program(self, compiled: Program, crossbars: Crossbars) -> Program:
        """The compiled Program with these choices; UserError for one that it does not have.

        crossbars : where devices are found.
        """
        from mapping.streams import with_run_time

        program = with_run_time(compiled, self.stream_length, self.tolerance, self.margin)
        if self.age is None and self.compensation is None and self.noise_seed is None:
            return program
        from codesign.crossbar.age import aged

        return aged(program, crossbars, self.age, self.compensation, self.noise_seed)


#: Nothing chosen.
AS_COMPILED = RunTime()
