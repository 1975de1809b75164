"""`inspect` and `compile`: from a model file to an artefact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.console import Json, Quiet, Terminal
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from codesign.settings import Settings

__all__ = ["Config", "Model", "register", "settings_for"]

Model = Annotated[
    Path,
    typer.Argument(help="The model: a .nir file, a .pt of torch, or a .npz.", show_default=False),
]
Dt = Annotated[float | None, typer.Option(help="Seconds in a step (NIR stores none).")]
Scheme = Annotated[str | None, typer.Option(help="Integration: euler or exponential.")]
Reset = Annotated[str | None, typer.Option(help="v_reset, zero, subtract or delayed (snnTorch).")]
Compare = Annotated[str | None, typer.Option(help="Membrane against threshold: '>' or '>='.")]
Discretisation = Annotated[
    str | None, typer.Option(help="Of continuous state spaces: zoh, bilinear or dirac.")
]
Pooling = Annotated[
    str | None, typer.Option(help="Of a state-space model's answers: mean, last or none.")
]
Delay = Annotated[int | None, typer.Option(help="Steps that a recurrent edge takes.")]
Force = Annotated[bool | None, typer.Option("--force", help="Accept dt / tau above 0.5.")]
Config = Annotated[
    Path | None,
    typer.Option(help="Settings file; nervure.toml beside the model is taken by itself."),
]


def _width(text: str | None) -> int | str | None:
    """--weight-bits as the settings want it."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


def settings_for(
    terminal: Terminal, model: Path, config: Path | None, given: dict[str, Any]
) -> Settings:
    """Defaults, the settings file, the command line."""
    from codesign.settings import load_settings

    if config is None and (beside := model.parent / "nervure.toml").is_file():
        config = beside
        terminal.note(f"settings: {beside} (beside the model; --config names another)")
    return load_settings(config, given)


def inspect(
    model: Model,
    dt: Dt = None,
    scheme: Scheme = None,
    reset: Reset = None,
    compare: Compare = None,
    recurrent_delay: Delay = None,
    discretisation: Discretisation = None,
    pooling: Pooling = None,
    force: Force = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what is in a model: nodes, shapes, density, what maps and what does not.

    Example: nervure inspect digits.nir
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.cli.tables import inspection
        from codesign.inspect import inspect_model

        given = {
            "dt": dt, "scheme": scheme, "reset": reset, "compare": compare,
            "recurrent_delay": recurrent_delay, "discretisation": discretisation,
            "pooling": pooling, "force": force,
        }  # fmt: skip
        settings = settings_for(terminal, model, config, given)
        work(f"reading {model}")
        found = inspect_model(model, settings.options)
    terminal.result(found.to_json())
    if not json:
        terminal.show(*inspection(found))


def _array(text: str | None) -> dict[str, int]:
    """Rows and columns of "64x64"."""
    if text is None:
        return {}
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise UserError(f"--array: must be rows x columns, as 64x64, not {text!r}")
    return {"array_rows": int(parts[0]), "array_columns": int(parts[1])}


def compile_(
    model: Model,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Directory to write.", show_default=False)
    ],
    target: Annotated[str | None, typer.Option(help="Board; see nervure boards.")] = None,
    config: Config = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Input (.npz) that sets the number formats.")
    ] = None,
    dt: Dt = None,
    scheme: Scheme = None,
    reset: Reset = None,
    compare: Compare = None,
    recurrent_delay: Delay = None,
    discretisation: Discretisation = None,
    pooling: Pooling = None,
    force: Force = None,
    weight_bits: Annotated[str | None, typer.Option(help="1 to 16, ternary or binary.")] = None,
    prune: Annotated[
        float | None, typer.Option(help="Share of each connection's weights that become 0.")
    ] = None,
    scale: Annotated[str | None, typer.Option(help="A weight scale per layer or neuron.")] = None,
    clip: Annotated[str | None, typer.Option(help="Weight scale by mse or max.")] = None,
    decay: Annotated[str | None, typer.Option(help="Decay by factor or shift.")] = None,
    decay_bits: Annotated[int | None, typer.Option(help="Fraction bits of decays.")] = None,
    membrane_bits: Annotated[int | None, typer.Option(help="Width of membranes.")] = None,
    current_bits: Annotated[int | None, typer.Option(help="Width of currents.")] = None,
    payload_bits: Annotated[int | None, typer.Option(help="Width of graded values.")] = None,
    fraction_bits: Annotated[int | None, typer.Option(help="Membrane bits below weights.")] = None,
    state_bits: Annotated[int | None, typer.Option(help="Width of state-space states.")] = None,
    pole_bits: Annotated[int | None, typer.Option(help="Fraction bits of their poles.")] = None,
    rounding: Annotated[
        str | None, typer.Option(help="Of their recurrence: nearest or stochastic.")
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(help="Values travel when they change by more than this share of the largest."),
    ] = None,
    table_bits: Annotated[int | None, typer.Option(help="Index width of activations.")] = None,
    activation: Annotated[
        str | None, typer.Option(help="Instead of the model's: relu; as tables if not given.")
    ] = None,
    graded: Annotated[
        bool | None, typer.Option("--graded/--no-graded", help="Inputs are real values or spikes.")
    ] = None,
    readout: Annotated[str | None, typer.Option(help="count, last, max, mean or none.")] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Sums by event (exact), stochastic (bit-streams) or crossbar (devices); "
            "ssm: LI neurons as state spaces."
        ),
    ] = None,
    stream_length: Annotated[int | None, typer.Option(help="Bits of a stream, 2**k.")] = None,
    generator: Annotated[str | None, typer.Option(help="Of streams: sobol or lfsr.")] = None,
    generators: Annotated[int | None, typer.Option(help="Generators that lanes share.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Early termination of streams, in largest products.")
    ] = None,
    margin: Annotated[
        int | None,
        typer.Option(help="Streams end once a spike is certain by so many last places, 0 to 255."),
    ] = None,
    first_length: Annotated[
        int | None, typer.Option(help="Bits before a stream may end early, 2**k.")
    ] = None,
    stream_lanes: Annotated[
        int | None, typer.Option(help="Products per cycle of a stochastic core.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Of crossbars; see nervure device list.")
    ] = None,
    device_table: Annotated[
        Path | None, typer.Option(help="A table of devices of your own (.toml).")
    ] = None,
    array: Annotated[
        str | None, typer.Option(help="Rows x columns of a crossbar's bank, as 64x64.")
    ] = None,
    sampling: Annotated[
        str | None, typer.Option(help="Weights drawn by noisy reads: none, binary or ternary.")
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs of devices of a weight.")] = None,
    adc_bits: Annotated[int | None, typer.Option(help="Of a crossbar's converters.")] = None,
    program_tolerance: Annotated[
        float | None, typer.Option(help="Of program-and-verify, in standard deviations of a read.")
    ] = None,
    device_seed: Annotated[int | None, typer.Option(help="Of all noise of devices.")] = None,
    state_lanes: Annotated[
        int | None, typer.Option(help="States per cycle of a state-space core, 2**k.")
    ] = None,
    cores: Annotated[int | None, typer.Option(help="Cores; one of each kind if not given.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Synapses per cycle of a core.")] = None,
    update_lanes: Annotated[int | None, typer.Option(help="Neurons updated per cycle.")] = None,
    index: Annotated[str | None, typer.Option(help="Rows: auto, none, word or lane.")] = None,
    neurons: Annotated[int | None, typer.Option(help="Most neurons of a core.")] = None,
    synapse_bits: Annotated[int | None, typer.Option(help="Most synapse bits of a core.")] = None,
    axons: Annotated[int | None, typer.Option(help="Most input rows of a core.")] = None,
    routes: Annotated[int | None, typer.Option(help="Most routes of a neuron.")] = None,
    width: Annotated[int | None, typer.Option(help="Columns of the mesh.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows of the mesh.")] = None,
    interval: Annotated[int | None, typer.Option(help="Ticks between steps.")] = None,
    fifo: Annotated[
        int | None, typer.Option(help="Events queued in front of a core: 0, or 2**k up to 512.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of partition and placement.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="SETTING=VALUE, as in a settings file; once for each."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compile a model to Verilog, a testbench, constraints and a report.

    Example: nervure compile digits.nir -o build --calibration calibration.npz --weight-bits 4
    """
    given = {
        "board": target, "dt": dt, "scheme": scheme, "reset": reset, "compare": compare,
        "recurrent_delay": recurrent_delay, "discretisation": discretisation,
            "pooling": pooling, "force": force,
        "weight_bits": _width(weight_bits),
        "prune": prune, "scale": scale, "clip": clip, "decay": decay, "decay_bits": decay_bits,
        "membrane_bits": membrane_bits, "current_bits": current_bits,
        "payload_bits": payload_bits, "fraction_bits": fraction_bits, "graded": graded,
        "state_bits": state_bits, "pole_bits": pole_bits, "rounding": rounding, "delta": delta,
        "table_bits": table_bits, "activation": activation, "state_lanes": state_lanes,
        "readout": readout, "engine": engine, "stream_length": stream_length,
        "generator": generator, "generators": generators, "tolerance": tolerance,
        "margin": margin, "first_length": first_length, "stream_lanes": stream_lanes,
        "device": device, "device_table": device_table, "sampling": sampling, "pairs": pairs,
        "adc_bits": adc_bits, "program_tolerance": program_tolerance, "device_seed": device_seed,
        **_array(array),
        "cores": cores, "lanes": lanes, "update_lanes": update_lanes, "index": index,
        "neurons": neurons, "synapse_bits": synapse_bits, "axons": axons, "routes": routes,
        "width": width, "height": height, "interval": interval, "fifo": fifo, "seed": seed,
        "calibration": calibration,
    }  # fmt: skip
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.cli.tables import compiled
        from codesign.compile import compile_model
        from codesign.settings import assigned

        given = assigned(settings) | {k: v for k, v in given.items() if v is not None}
        artefact = compile_model(model, out, settings_for(terminal, model, config, given),
                                 progress=work)  # fmt: skip
    report = artefact.report
    terminal.result({"directory": str(out), "target": artefact.settings.board, **report})
    if not json:
        terminal.show(*compiled(artefact))


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(inspect)
    app.command("compile")(compile_)
