"""Settings of crossbars: every wrong one is named; tables of devices; what can't be programmed."""

import math

import numpy as np
import pytest

from codesign.crossbar.devices import find, of_weights, program_weights, tolerance_of
from codesign.crossbar.ranges import converter_gain
from codesign.crossbar.settings import NUMBERS, Crossbars
from codesign.settings import Settings, assigned, load_settings
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from sim.device.integer import noise_floor, read_noise_units


@pytest.mark.parametrize(("name", "low", "high", "whole"), NUMBERS)
def test_numbers_have_ends(name, low, high, whole):
    beside = {"array_columns": 128} if name != "array_columns" else {}
    if name == "spare_columns":
        beside["sampling"] = "binary"
    for value in (low, high):
        if name != "array_columns" or value == high:
            assert getattr(Crossbars(**{name: value, **beside}), name) == value
    kind = "a whole number" if whole else "a number"
    wrong = [low - 1, high + 1, True, "8", None, math.nan, math.inf, [low]]
    for value in [*wrong, 1.5] if whole else wrong:
        with pytest.raises(UserError) as found:
            Crossbars(**{name: value, **beside})
        said = f"{name}: must be {kind} in {low}..{high}, not {value!r}; change the setting"
        assert str(found.value) == said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampling": "unary"}, "sampling: must be one of none, binary, ternary, not 'unary'"),
        ({"sampling": ["none"]}, "sampling: must be one of none, binary, ternary, not ['none']"),
        ({"coding": 1}, "coding: must be one of serial, width, not 1"),
        ({"program_policy": "hope"}, "program_policy: must be one of redraw, feedback, not 'hope'"),
        ({"correlated": 1}, "correlated: must be one of false, true, not 1"),
        ({"correlated": "yes"}, "correlated: must be one of false, true, not 'yes'"),
        ({"stuck": 0.6, "dead": 0.5}, "stuck, dead: are shares of all devices, 0.6 and 0.5"),
        ({"sampling": "binary", "pairs": 2}, "pairs: a sampled weight has one device a sign"),
        ({"array_columns": 1}, "array_columns: a weight takes 2 columns beside 0 spare ones, the "
         "array has 1; use a larger array (--array)"),
        ({"array_columns": 8, "pairs": 4, "spare_columns": 1}, "takes 8 columns beside 1 spare"),
        ({"array_columns": 8, "converters": 9}, "converters: at most one for each of 8 columns"),
        ({"device": 3}, "device: must be a name, not 3"),
        ({"device_table": 3}, "device_table: must be a file, not 3"),
    ],
)  # fmt: skip
def test_what_does_not_go(given, message):
    with pytest.raises(UserError) as found:
        Crossbars(**given)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_one_column_is_enough_for_a_binary_weight():
    assert Crossbars(array_columns=1, array_rows=1, sampling="binary").array_columns == 1


def test_a_file_a_command_line_and_back(tmp_path):
    """Tables are relative to the file that names them, or to where the command runs."""
    path = tmp_path / "nervure.toml"
    path.write_text('device = "mine"\ndevice_table = "d/mine.toml"\nstuck = 0.5\narray_rows = 8\n')
    settings = load_settings(path, {"array_rows": 16})
    assert settings.crossbar.device_table == tmp_path / "d" / "mine.toml"
    assert (settings.crossbar.stuck, settings.crossbar.array_rows) == (0.5, 16)
    assert str(load_settings(None, {"device_table": "x.toml"}).crossbar.device_table) == "x.toml"
    flat = settings.flat()
    assert flat["device_table"] == "devices.toml"
    again = Settings().with_values(flat).with_tables_in(tmp_path)
    assert again.crossbar.device_table == tmp_path / "devices.toml"
    assert again.flat() == flat


def test_assignments_are_toml_or_text():
    texts = ["stuck=0.5", "device = hermes-1", "cell-bits=12", 'sampling="binary"',
             "engine={lif1='crossbar'}"]  # fmt: skip
    assert assigned(texts) == {
        "stuck": 0.5, "device": "hermes-1", "cell_bits": 12, "sampling": "binary",
        "engine": {"lif1": "crossbar"},
    }  # fmt: skip
    assert assigned(None) == {}
    for wrong in ("stuck", "=3"):
        with pytest.raises(UserError, match=r"--set: must be SETTING=VALUE"):
            assigned([wrong])


def refused(wanted: Crossbars) -> str:
    """What is said of a tolerance; nothing if it will do."""
    try:
        tolerance_of(wanted, find(wanted))
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("device", ["pcm", "hermes-1", "hermes-2", "pcm-pulse", "rram"])
@pytest.mark.parametrize(
    "given", [{}, {"correlated": True}, {"adc_bits": 6}, {"cell_bits": 12, "adc_bits": 7}], ids=str
)
def test_a_tolerance_that_reads_can_not_tell(device, given):
    """Below the noise of a verify it is refused, and what the message asks for will do."""
    found, shares = find(Crossbars(device=device)), (0.01, 0.1, 0.25, 0.5, 1.0)
    for share in shares:
        wanted = Crossbars(device=device, program_tolerance=share, **given)
        bits, half = wanted.cell_bits, 1 << (wanted.cell_bits - 2)
        read = float(read_noise_units(found, half, cell_bits=bits))
        floor = noise_floor(
            found, half, 4, wanted.adc_bits, cell_bits=bits, correlated=wanted.correlated
        )
        tolerance, said = max(round(share * read), 1), refused(wanted)
        if not said:
            assert tolerance_of(wanted, found) == tolerance >= floor
            continue
        start = f"program_tolerance: {share:g} standard deviations of a read are {tolerance} units"
        assert said.startswith(start)
        assert f"below what a verify of {device} can tell" in said
        least = float(said.split("use at least ")[1].split(",")[0])
        assert least > share
        assert not refused(Crossbars(device=device, program_tolerance=least, **given))
    assert refused(Crossbars(device=device, program_tolerance=0.01, cell_bits=12, **{
        key: value for key, value in given.items() if key != "cell_bits"}))  # fmt: skip


@pytest.mark.parametrize(("share", "adc_bits"), [(0.25, 8), (0.5, 8), (0.7, 6), (0.5, 10)])
def test_a_tolerance_that_is_taken_can_be_met(share, adc_bits):
    """Targets of all sizes, many pulses allowed: none fails."""
    wanted = Crossbars(program_tolerance=share, adc_bits=adc_bits, max_pulses=400)
    crossbar = Crossbar(rows=64, columns=64, adc_bits=adc_bits)
    levels = np.random.default_rng(5).integers(0, 513, (1, 1, 64, 64))
    made, params = program_weights(crossbar, wanted, levels, 0, 1 << 16)
    assert not made.failed.any()
    assert np.abs(made.measured).max() <= params.tolerance


@pytest.mark.parametrize("adc_bits", [4, 6, 7, 9, 10, 12])
def test_without_noise_the_step_of_a_converter_is_the_tolerance(adc_bits):
    """Every level in reach, at most one pulse, and the error is half of a step."""
    wanted = Crossbars(device="ideal", adc_bits=adc_bits, array_rows=64, array_columns=8)
    half = (1 << 10 - adc_bits) // 2 if adc_bits < 10 else 0
    assert tolerance_of(wanted, find(wanted)) == half
    crossbar = Crossbar(rows=64, columns=8, adc_bits=adc_bits)
    levels = np.arange(512).reshape(1, 1, 64, 8)
    made, _ = program_weights(crossbar, wanted, levels, 0, 1 << 16)
    assert not made.failed.any()
    assert made.pulses.max() == 1
    assert np.abs(made.error).max() <= half


@pytest.mark.parametrize("policy", ["redraw", "feedback"])
def test_a_device_that_can_not_reach_its_target_is_counted(policy):
    """Stuck at 0 or somewhere; converters that are off; all others are within the tolerance."""
    wanted = Crossbars(
        array_rows=64, array_columns=64, stuck=0.05, dead=0.1, gain_error=0.02, offset_error=0.3,
        converters=4, program_policy=policy, max_pulses=9, device_seed=3, program_tolerance=1.0,
    )  # fmt: skip
    crossbar = Crossbar(rows=64, columns=64, converters=4)
    levels = np.full((1, 1, 64, 64), 256)
    made, params = program_weights(crossbar, wanted, levels, 0, 1 << 16)
    assert made.pulses.max() == 9
    near = np.abs(made.measured) <= params.tolerance
    assert (near == ~made.failed).all()
    dead = (made.conductance == 0).mean()
    assert dead == pytest.approx(0.1, abs=0.02)
    assert 0.1 < made.failed.mean() < 0.3
    gains = np.array(params.array.gains[0]) / (1 << 16)
    assert gains.std() == pytest.approx(0.02, rel=0.8)
    assert len(set(params.array.offsets[0])) == 4
    relative = np.array(params.array.gains[1]) / (1 << 14) / gains  # a converter errs alike
    assert relative == pytest.approx(np.ones(4), abs=1e-3)


def test_devices_that_hold_weights():
    """3 places of 2 columns, 5 neurons, 7 sources on 4 rows, against a plain loop."""
    crossbar = Crossbar(rows=4, columns=7, spares=1)
    found = of_weights(crossbar, 7, 5)
    assert found.shape == (2, 2, 4, 6)
    for (block, tile, row, q), there in np.ndenumerate(found):
        assert there == (tile * 4 + row < 7 and block * 3 + q // 2 < 5)


def test_a_converter_of_one_bit_on_a_large_array_still_has_a_gain():
    crossbar = Crossbar(rows=1024, columns=2, adc_bits=1, cell_bits=12)
    levels = np.full((1, 1, 1024, 2), 2048)
    assert converter_gain(crossbar, levels, np.ones((1, 1024), np.int64)) == 1
