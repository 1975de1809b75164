"""Settings: defaults, a TOML file, the command line; every wrong key and value is named."""

from pathlib import Path

import pytest

from codesign.settings import Settings, load_settings
from hdl.params.errors import UserError


def test_the_command_line_wins_over_the_file_over_the_defaults(tmp_path):
    file = tmp_path / "nervure.toml"
    file.write_text('dt = 1e-3\nweight_bits = 3\nboard = "ulx3s-25f"\n')
    settings = load_settings(file, {"weight_bits": "ternary", "cores": None})
    assert settings.options.dt == 1e-3
    assert settings.quantisation.weight_bits == "ternary"
    assert settings.board == "ulx3s-25f"
    assert settings.target == Settings().target
    assert load_settings(None) == Settings()


def test_calibration_is_relative_to_the_file_and_no_part_of_the_artefact(tmp_path):
    file = tmp_path / "nervure.toml"
    file.write_text('calibration = "data/in.npz"\n')
    settings = load_settings(file)
    assert settings.calibration == tmp_path / "data" / "in.npz"
    assert "calibration" not in settings.flat()
    assert load_settings(file, {"calibration": Path("x.npz")}).calibration == Path("x.npz")


def test_flat_settings_come_back():
    settings = Settings().with_values({"weight_bits": {"fc1": 4, "*": "binary"}, "width": 3})
    assert Settings().with_values(settings.flat()) == settings


def test_weight_bits_by_layer_from_a_table(tmp_path):
    file = tmp_path / "nervure.toml"
    file.write_text('[weight_bits]\nfc1 = 4\n"*" = "ternary"\n')
    assert load_settings(file).quantisation.weight_bits == {"fc1": 4, "*": "ternary"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_bit": 4}, "here: unknown setting 'weight_bit'; did you mean 'weight_bits'?"),
        ({"xyz": 1}, "unknown setting 'xyz'; known: activation, adc_bits, array_columns"),
        ({"scheme": "heun"}, "here: scheme must be one of euler, exponential, not 'heun'"),
        ({"compare": "=="}, "here: compare must be one of >, >=, not '=='"),
        ({"reset": 0}, "here: reset must be one of v_reset, zero, subtract, delayed, not 0"),
        ({"index": "csr"}, "here: index must be one of auto, none, word, lane, not 'csr'"),
        ({"dt": 0}, "here: dt must be a positive number of seconds, not 0"),
        ({"dt": "fast"}, "here: dt must be a positive number of seconds, not 'fast'"),
        ({"dt": float("nan")}, "dt must be a positive number"),
        ({"cores": 0}, "here: cores must be a whole number from 1, not 0"),
        ({"cores": True}, "here: cores must be a whole number from 1, not True"),
        ({"interval": 1.5}, "here: interval must be a whole number from 1, not 1.5"),
        ({"seed": -1}, "here: seed must be a whole number from 0, not -1"),
        ({"force": "yes"}, "here: force must be true or false, not 'yes'"),
        ({"board": 85}, "here: board must be a name, not 85"),
        ({"calibration": 3}, "here: calibration must be a path, not 3"),
        ({"decay_bits": 99}, "decay_bits: must be 8..16, not 99"),
        ({"weight_bits": 0}, "weight_bits: must be 1..16, 'ternary' or 'binary', not 0"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(UserError) as caught:
        Settings().with_values(values, "here")
    assert message in str(caught.value)


def test_all_problems_at_once():
    with pytest.raises(UserError) as caught:
        Settings().with_values({"dt": -1, "scheme": "x", "cores": 0})
    assert str(caught.value).count(";") == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "can't be read (No such file"), (b"a =", "not TOML"), (b"\xff\xfe", "not TOML")],
)
def test_unreadable_files(tmp_path, content, message):
    file = tmp_path / "own.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_settings(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
