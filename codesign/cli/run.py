"""`simulate`, `verify`, `evaluate`: what an artefact computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.build import Directory
from codesign.cli.console import Json, Quiet, Terminal

__all__ = ["register"]

Input = Annotated[
    Path, typer.Option("--input", "-i", help="Stimulus (.npz).", show_default=False)
]  # fmt: skip

StreamLength = Annotated[
    int | None, typer.Option(help="Bits of streams of stochastic layers, set at run time.")
]
Tolerance = Annotated[
    float | None,
    typer.Option(help="Early termination of streams, in largest products; -1: none."),
]
Margin = Annotated[
    int | None,
    typer.Option(help="Streams end once a spike is certain by so many last places; -1: never."),
]
Age = Annotated[float | None, typer.Option(help="Seconds since the devices were programmed.")]
Compensation = Annotated[
    str | None, typer.Option(help="Of the devices' drift: none, global or column.")
]
NoiseSeed = Annotated[int | None, typer.Option(help="Of the noise in reads of devices.")]


def simulate(
    directory: Directory,
    input: Input,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="File to write (.npz).", show_default=False)
    ],
    backend: Annotated[
        str, typer.Option(help="golden (integers), rtl (Verilated) or float (the model).")
    ] = "golden",
    start: Annotated[
        Path | None, typer.Option(help="State to go on from, as --keep wrote it.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Write what the network remembers at the end (.npz).")
    ] = None,
    stream_length: StreamLength = None,
    tolerance: Tolerance = None,
    margin: Margin = None,
    age: Age = None,
    compensation: Compensation = None,
    noise_seed: NoiseSeed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a stimulus and write its outputs.

    Example: nervure simulate build --input test.npz -o out.npz --backend rtl
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.results import simulation
        from codesign.runtime import RunTime
        from codesign.simulate import simulate as run

        done = run(
            Artefact.open(directory), input, out, backend=backend, start=start, keep=keep,
            run_time=RunTime(
                stream_length=stream_length, tolerance=tolerance, margin=margin, age=age,
                compensation=compensation, noise_seed=noise_seed,
            ),
            progress=work,
        )  # fmt: skip
    terminal.result(done.to_json())
    if not json:
        terminal.show(*simulation(done, out))
    if done.errors:
        terminal.fail(f"{directory}: {len(done.errors)} answers of the RTL can't be", 1)


def verify(
    directory: Directory,
    input: Annotated[
        Path | None, typer.Option("--input", "-i", help="Stimulus (.npz); random if not given.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="At most so many steps.")] = None,
    samples: Annotated[int | None, typer.Option(help="At most so many samples.")] = None,
    sample: Annotated[int | None, typer.Option(help="Only this sample.")] = None,
    seed: Annotated[int, typer.Option(help="Of stalls and of random input.")] = 1,
    no_cocotb: Annotated[bool, typer.Option("--no-cocotb", help="Only in process.")] = False,
    no_stalls: Annotated[bool, typer.Option("--no-stalls", help="No random stalls.")] = False,
    waves: Annotated[
        Path | None, typer.Option(help="Folder for a waveform of the first mismatch.")
    ] = None,
    stream_length: StreamLength = None,
    tolerance: Tolerance = None,
    margin: Margin = None,
    age: Age = None,
    compensation: Compensation = None,
    noise_seed: NoiseSeed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check that the Verilog equals the golden model in every bit; exit 0 only if it does.

    Example: nervure verify build --input test.npz --waves waves
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.results import verification
        from codesign.report import write_report
        from codesign.runtime import RunTime
        from codesign.verify import verify as run

        artefact = Artefact.open(directory)
        found = run(
            artefact, input, steps=steps, samples=samples, sample=sample, seed=seed,
            stalls=not no_stalls, cocotb=not no_cocotb, waveforms=waves,
            run_time=RunTime(
                stream_length=stream_length, tolerance=tolerance, margin=margin, age=age,
                compensation=compensation, noise_seed=noise_seed,
            ),
            progress=work,
        )  # fmt: skip
        write_report(artefact)
    terminal.result(found.to_json())
    if not json:
        terminal.show(*verification(found))
    if found.status == "FAIL":
        first = found.first[0] if found.first else found.stages[-1].reason
        terminal.fail(f"{directory}: {found.mismatches} mismatches; first: {first}", 1)
    if found.status != "PASS":
        open_ = [s for s in found.stages if s.status == "NOT RUN"]
        terminal.fail(f"{directory}: not verified; {open_[0].name}: {open_[0].reason}", 3)


def evaluate(
    directory: Directory,
    input: Input,
    samples: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    steps: Annotated[int | None, typer.Option(help="Only the first N steps of each.")] = None,
    no_rtl: Annotated[bool, typer.Option("--no-rtl", help="Do not run the RTL.")] = False,
    no_float: Annotated[bool, typer.Option("--no-float", help="Do not run the model.")] = False,
    stream_length: StreamLength = None,
    tolerance: Tolerance = None,
    margin: Margin = None,
    age: Age = None,
    compensation: Compensation = None,
    noise_seed: NoiseSeed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy of float model, golden model and RTL on labelled data; activity and latency.

    Example: nervure evaluate build --input test.npz
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.results import evaluation
        from codesign.evaluate import evaluate as run
        from codesign.report import write_report
        from codesign.runtime import RunTime

        artefact = Artefact.open(directory)
        found = run(
            artefact, input, samples=samples, steps=steps, rtl=not no_rtl, float=not no_float,
            run_time=RunTime(
                stream_length=stream_length, tolerance=tolerance, margin=margin, age=age,
                compensation=compensation, noise_seed=noise_seed,
            ),
            progress=work,
        )  # fmt: skip
        write_report(artefact)
    terminal.result(found.to_json())
    if not json:
        terminal.show(*evaluation(found))
    if not found.passed:
        terminal.fail(
            f"{directory}: RTL and golden model differ in {found.mismatches} output words; "
            f"find the first with: nervure verify {directory} --input {input}",
            1,
        )


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (simulate, verify, evaluate):
        app.command()(command)
