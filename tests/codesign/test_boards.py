"""Boards: the shipped tables agree with their pin files, and errors say what to do."""

import re

import pytest

from codesign.boards import board, boards
from hdl.params.errors import UserError


def test_the_shipped_boards_have_the_capacities_of_their_parts():
    assert sorted(boards()) == ["ulx3s-25f", "ulx3s-85f"]
    large, small = board("ulx3s-85f"), board("ulx3s-25f")
    assert vars(large.capacity) == {"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156}
    assert vars(small.capacity) == {"lut": 24288, "ff": 24288, "bram": 56, "dsp": 28}
    assert (large.nextpnr_flag, small.nextpnr_flag) == ("--85k", "--25k")


@pytest.mark.parametrize("name", ["ulx3s-85f", "ulx3s-25f"])
def test_pins_match_the_pin_file(name):
    chosen = board(name)
    located = dict(re.findall(r'^LOCATE COMP "([^"]+)" SITE "([^"]+)"', chosen.lpf, re.M))
    assert located == dict(chosen.pins)
    assert set(re.findall(r'^IOBUF PORT "([^"]+)"', chosen.lpf, re.M)) == set(located)
    assert chosen.pins[chosen.clock_port] == chosen.clock_pin == "G2"


def test_pins_match_the_table_of_amaranth_boards():
    ulx3s = pytest.importorskip("amaranth_boards.ulx3s").ULX3S_85F_Platform()
    names = {(resource.name, resource.number): resource for resource in ulx3s.resources.values()}
    serial = {signal.name: signal.ios[0].names[0] for signal in names["uart", 0].ios}
    ours = board("ulx3s-85f").pins
    assert ours["clk"] == names["clk25", 0].ios[0].names[0]
    assert ours["rst"] == names["button_fire", 0].ios[0].names[0]
    assert (ours["uart_rx"], ours["uart_tx"]) == (serial["rx"], serial["tx"])
    assert [ours[f"led[{i}]"] for i in range(8)] == [
        names["led", i].ios[0].names[0] for i in range(8)
    ]


def test_an_unknown_board_names_the_close_one_and_all_others():
    with pytest.raises(UserError) as caught:
        board("ulx3s-85")
    assert str(caught.value) == (
        "board 'ulx3s-85' is unknown; did you mean 'ulx3s-85f'? known boards: ulx3s-25f, ulx3s-85f"
    )
    with pytest.raises(UserError, match=r"^board 'zynq' is unknown; known boards: ulx3s-25f, u"):
        board("zynq")


def test_a_board_of_the_users_own(tmp_path):
    from importlib import resources

    text = (resources.files("constraints") / "ulx3s-25f.toml").read_text()
    own = tmp_path / "own.toml"
    with pytest.raises(UserError, match="does not exist"):
        board(str(own))
    own.write_text(text.replace('name = "ulx3s-25f"', 'name = "own"'))
    with pytest.raises(UserError, match=r"pin file own\.lpf does not stand beside it"):
        board(str(own))
    own.with_suffix(".lpf").write_text("# no pins\n")
    assert board(str(own)).name == "own"
    own.write_text(text.replace("dsp = 28", ""))
    with pytest.raises(UserError, match=r"own\.toml, \[capacity\]: key 'dsp' is missing"):
        board(str(own))
    own.write_text(text.replace("dsp = 28", 'dsp = "many"'))
    with pytest.raises(UserError, match="key 'dsp' has the wrong kind of value: 'many'"):
        board(str(own))
    own.write_text("name = ")
    with pytest.raises(UserError, match=r"own\.toml is not valid TOML"):
        board(str(own))
