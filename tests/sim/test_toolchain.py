"""Finding tools, and building into the cache."""

import threading

import pytest

from sim import toolchain
from sim.toolchain import ToolMissing, build_once, cache_dir, environment, find_program


@pytest.fixture
def _no_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    find_program.cache_clear()
    yield
    find_program.cache_clear()


@pytest.mark.usefixtures("_no_path")
def test_missing_tool_says_how_to_install_it():
    with pytest.raises(ToolMissing, match=r"^make was not found: apt install make") as caught:
        find_program("make")
    assert caught.value.tool == "make"
    assert {"make", "perl"} <= {error.tool for error in toolchain.missing_tools()}


def test_environment_mends_the_precompiled_header(monkeypatch):
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    if "MAKEFLAGS" not in environment():
        pytest.skip("this Verilator does not need it")
    assert environment()["MAKEFLAGS"] == "-- CFG_CXXFLAGS_PCH_I=-include"
    monkeypatch.setenv("MAKEFLAGS", "-j2")
    assert environment()["MAKEFLAGS"] == "-j2 -- CFG_CXXFLAGS_PCH_I=-include"
    monkeypatch.setenv("MAKEFLAGS", "-j2 -- A=b")
    assert environment()["MAKEFLAGS"] == "-j2 -- A=b CFG_CXXFLAGS_PCH_I=-include"
    monkeypatch.setenv("MAKEFLAGS", environment()["MAKEFLAGS"])
    assert environment()["MAKEFLAGS"].count("PCH_I") == 1


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NERVURE_CACHE", str(tmp_path))
    assert cache_dir("a", "b") == tmp_path / "a" / "b"
    monkeypatch.delenv("NERVURE_CACHE")
    assert "nervure" in cache_dir().parts


def test_concurrent_builders_build_once(tmp_path):
    made = []

    def make(work):
        made.append(work)
        (work / "result").write_text("done")

    target = tmp_path / "deep" / "target"
    threads = [threading.Thread(target=build_once, args=(target, make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (target / "result").read_text() == "done"


def test_failed_build_leaves_nothing(tmp_path):
    def fail(work):
        (work / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        build_once(tmp_path / "target", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["target.lock"]
