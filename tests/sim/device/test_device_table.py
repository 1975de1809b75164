"""Tables of devices: the shipped one, a user's own, and every way to get it wrong."""

import numpy as np
import pytest

from hdl.params.errors import UserError
from sim.device.integer import tables
from sim.device.table import MOST_BYTES, find_device, load_devices

GOOD = """
[mine]
source = "a test"
kind = "write"
g_max = 30.0
t_0 = 10
t_read = 1e-6
write_sigma = 0.5
drift_mean = { law = "logarithm", offset = 0.02, slope = -0.01, low = 0, high = 0.1 }
drift_sigma = 0.01
read_sigma = [{ below = 0.5, law = "power", factor = 0.01, exponent = -0.5, high = 0.2 }, 0.02]
"""
PULSE = """
[step]
source = "a test"
kind = "pulse"
g_max = 10
t_0 = 10
t_read = 0
set_step = 0.5
set_sigma = 0.1
reset_level = 0.2
reset_sigma = 0.05
drift_mean = 0
drift_sigma = 0
read_sigma = 0
"""


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "own.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_the_shipped_devices():
    devices = load_devices()
    assert list(devices) == ["pcm", "hermes-1", "hermes-2", "pcm-pulse", "rram", "ideal"]
    kinds = {name: device.kind for name, device in devices.items() if device.kind != "write"}
    assert kinds == {"pcm-pulse": "pulse"}
    for name, device in devices.items():
        assert device.name == name
        assert device.source
        for bits in range(8, 13):
            assert tables(device, bits).kind == device.kind


def test_a_users_table_adds_to_the_shipped_one(table):
    path = table(GOOD + PULSE)
    assert set(load_devices(path)) == {*load_devices(), "mine", "step"}
    mine = find_device("mine", path)
    assert (mine.g_max, mine.t_0, mine.t_read, mine.g_min) == (30, 10, 1e-6, 0)
    assert mine.write_sigma([0, 30]) == pytest.approx([0.5, 0.5])
    assert mine.read_sigma([0, 7.5, 14.99, 15, 30]) == pytest.approx(
        [0.2, 0.02, 0.01 / np.sqrt(14.99 / 30), 0.02, 0.02]
    )
    assert mine.drift_mean([0, 3, 30]) == pytest.approx([0.1, 0.02 - 0.01 * np.log(0.1), 0.02])
    assert find_device("step", str(path)).set_step(3.0) == 0.5
    assert find_device("pcm", path) == find_device("pcm")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("g_max = 30.0", "", "g_max is missing; add it, devices.toml shows its form"),
        ("g_max = 30.0", "g_max = 0", "g_max must be a number in 1e-06..1e+06, not 0; change it"),
        ("g_max = 30.0", "g_max = -3", "g_max must be a number in 1e-06..1e+06, not -3; change it"),
        (
            "g_max = 30.0",
            "g_max = 'a'",
            "g_max must be a number in 1e-06..1e+06, not 'a'; change it",
        ),
        (
            "g_max = 30.0",
            "g_max = true",
            "g_max must be a number in 1e-06..1e+06, not True; change it",
        ),
        (
            "g_max = 30.0",
            "g_max = nan",
            "g_max must be a number in 1e-06..1e+06, not nan; change it",
        ),
        ("t_0 = 10", "t_0 = inf", "t_0 must be a number in 1e-09..1e+09, not inf; change it"),
        ("t_read = 1e-6", "t_read = 10", "t_read must be less than t_0, 10, not 10.0; change it"),
        ("t_read = 1e-6", "t_read = -1", "t_read must be a number in 0..1e+09, not -1; change it"),
        ('kind = "write"', 'kind = "sram"', "kind must be 'write' or 'pulse', not 'sram'; change"),
        ('kind = "write"', "kind = [1]", "kind must be 'write' or 'pulse', not [1]; change it"),
        ('kind = "write"', 'kind = "pulse"', "key 'write_sigma' is unknown; did you mean"),
        ("source", "sourec", "key 'sourec' is unknown; did you mean source?"),
        ('"a test"', '" "', "source must be a text of 1..1000 characters, not ' '; change it"),
        ("g_max = 30.0", "g_max = 30\ng_min = 31", "g_min must be a number in 0..30, not 31;"),
        (
            "write_sigma = 0.5",
            "write_sigma = -0.5",
            "write_sigma must give values in 0..34.5 at x = 0, not -0.5; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'polynomial', coefficients = [1, -4, 2] }",
            "write_sigma must give values in 0..34.5 at x = 0.292969, not -0.000213623",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = 40",
            "write_sigma must give values in 0..34.5 at x = 0, not 40.0; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = 'big'",
            "write_sigma: must be a table, not 'big'; devices.toml shows it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'cubic', a = 3 }",
            "write_sigma: law must be polynomial or logarithm or power, not 'cubic'; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'power', factor = 1 }",
            "write_sigma: exponent is missing; add it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'power', factor = 1, exponent = 9 }",
            "write_sigma: exponent must be a number in -8..8, not 9; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'power', factor = 1, exponent = -8 }",
            "write_sigma must give values in 0..34.5 at x = 0, not 1.00000000",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'polynomial', coefficients = [] }",
            "write_sigma: coefficients must be a list of 1..16 numbers, not []; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'polynomial', coefficients = [1, nan] }",
            "write_sigma: coefficients must be a number in -1e+09..1e+09, not nan; change it",
        ),
        (
            "write_sigma = 0.5",
            f"write_sigma = 1{'0' * 400}",
            "coefficients must be a number in -1e+09..1e+09, not 10000000",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = { law = 'power', factor = 1, exponent = 1, low = 2, high = 1 }",
            "write_sigma: low must be at most high, 1, not 2.0; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = []",
            "write_sigma: must have 1..16 pieces, not 0; change it",
        ),
        (
            "write_sigma = 0.5",
            "write_sigma = [0.5, 0.6]",
            "write_sigma[0]: below is missing; add it",
        ),
        ("below = 0.5, ", "below = -1, ", "read_sigma[0]: below must be a number in 0..1e+09"),
        ("high = 0.2 }, 0.02]", "high = 0.2 }, 0.5]", "read_sigma must give values in 0..0.49 at"),
        ("drift_sigma = 0.01", "drift_sigma = 1979-05-27", "must be a table, not datetime.date"),
        ("[mine]", "['my own']", "its name must be 1..64 letters, digits, '-', '_' or '.'"),
        ("[mine]", "[pcm]", "device 'pcm': Nervure has one so named; rename it"),
    ],
)
def test_a_wrong_entry_is_one_line_that_says_where(table, old, new, message):
    assert old in GOOD
    path = table(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_devices(path)
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert len(text) < 400
    assert text.startswith(f"{path}, device '")


def test_wrong_entries_of_a_pulsed_device(table):
    for key in ("reset_level", "set_step", "set_sigma", "reset_sigma"):
        lines = [line for line in PULSE.splitlines() if not line.startswith(key)]
        with pytest.raises(UserError, match=rf"own.toml, device 'step'.*: {key} is missing; add"):
            load_devices(table("\n".join(lines)))
    with pytest.raises(UserError, match=r"reset_level must be a number in 0..10, not 11; change"):
        load_devices(table(PULSE.replace("reset_level = 0.2", "reset_level = 11")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "{} is no UTF-8 text at byte 0; save it as UTF-8"),
        (b"[a", "{} is no valid TOML: Expected ']'"),
        (b"a = " + b"[" * 5000, "{} is no valid TOML: "),
        (b"a = 1" + b"0" * 5000, "{} is no valid TOML: "),
        (b"", "device table {} has no device; add a table such as [my-device]"),
        (b"#" * (MOST_BYTES + 1), "device table {} has more than 1048576 bytes; shorten it"),
        (b"pcm = 3", "{}, device 'pcm': must be a table, not 3; devices.toml shows it"),
    ],
)
def test_a_file_that_is_no_table(table, content, message):
    path = table(content)
    with pytest.raises(UserError) as caught:
        load_devices(path)
    assert str(caught.value).startswith(message.format(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(UserError) as caught:
            load_devices(path)
        assert str(caught.value) == (
            f"device table {path} is no file; give the path of an existing .toml"
        )


def test_an_unknown_device_names_the_close_one():
    with pytest.raises(UserError) as caught:
        find_device("pmc")
    assert str(caught.value) == (
        "device 'pmc' is unknown; did you mean 'pcm'? "
        "known devices: pcm, hermes-1, hermes-2, pcm-pulse, rram, ideal"
    )
    with pytest.raises(UserError, match=r"^device 'sram-cell' is unknown; known devices: pcm, "):
        find_device("sram-cell")
