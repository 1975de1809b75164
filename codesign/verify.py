"""`sim.verify` of an artefact: its Verilog, testbench and float model; the report is updated."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.artefact import Artefact
from codesign.runtime import AS_COMPILED, RunTime
from codesign.simulate import read_input

if TYPE_CHECKING:
    from sim.stimulus import Stimulus
    from sim.verify import Verification

__all__ = ["verify"]


def verify(
    artefact: Artefact,
    stimulus: Stimulus | Path | str | None = None,
    *,
    waveforms: Path | str | None = None,
    run_time: RunTime = AS_COMPILED,
    progress: Any = None,
    **options: Any,
) -> Verification:
    """Bit-exact check of an artefact.

    stimulus : None is seeded random input. waveforms : folder for a waveform of the first
    mismatch. run_time : what hardware can change; the testbench, whose vectors belong to what it
    was compiled with, is then left out. options : `steps`, `samples`, `sample`, `seed`, `stalls`,
    `cocotb` of `sim.verify.verify`.
    """
    from sim.verify import verify as run

    say = progress or (lambda text: None)
    words = ["nervure", "verify", str(artefact.directory)]
    shown = ["nervure", "verify", artefact.manifest["name"]]
    if isinstance(stimulus, str | Path):
        say(f"reading {stimulus}")
        words += ["--input", str(stimulus)]
        shown += ["--input", Path(stimulus).name]
        stimulus = read_input(artefact, stimulus)
    words += run_time.options()
    shown += run_time.options()
    artefact = artefact.at(run_time)
    if run_time.given():
        options["cocotb"] = False
    say("mapping")
    found = run(
        artefact.mapped,
        artefact.sources,
        stimulus,
        graph=artefact.graph,
        directory=artefact.directory,
        waveforms=waveforms,
        replay=shlex.join(words),
        progress=say,
        **options,
    )
    kept = found.to_json()
    kept["waveform"] = None if found.waveform is None else found.waveform.name
    kept["replay"] = found.replay.replace(shlex.join(words), shlex.join(shown))
    kept["command"] = shlex.join(shown + _options(options))
    artefact.add_to_report(verification=kept)
    return found


def _options(options: dict[str, Any]) -> list[str]:
    """Options as on the command line."""
    words = []
    for name, value in options.items():
        if value is False:
            words.append(f"--no-{name}")
        elif value is not None and value is not True:
            words += [f"--{name}", str(value)]
    return words
