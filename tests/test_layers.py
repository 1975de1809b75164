"""Which room may import which: parameters at the bottom, the command line on top."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("hdl", "mapping", "sim", "codesign", "constraints")

#: Room: what it may import of ours, and of others' packages (None: anything).
ALLOWED = {
    "hdl/params": (("hdl.params",), ()),
    "hdl": (("hdl",), ("amaranth",)),
    "mapping/importers": (("mapping", "hdl.params"), ("h5py", "networkx", "nir", "numpy", "scipy")),
    "mapping": (
        ("mapping", "hdl.params"),
        ("networkx", "numba", "numpy", "pymetis", "scipy"),
    ),
    "sim/golden": (
        ("sim.golden", "mapping.program", "hdl.params"),
        ("llvmlite", "numba", "numpy"),
    ),
    "sim": (("sim", "mapping", "hdl"), None),
    "codesign": (("codesign", "sim", "mapping", "hdl", "constraints"), None),
}


def imports(path):
    """(line, module) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module


def files(room):
    inner = [other for other in ALLOWED if other.startswith(room + "/")]
    for path in sorted((ROOT / room).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not any(name.startswith(other + "/") for other in inner) and "/templates/" not in name:
            yield path


def wrong(module, ours, others):
    top = module.split(".")[0]
    if top in ROOMS:
        return not any(module == name or module.startswith(name + ".") for name in ours)
    return top not in sys.stdlib_module_names and others is not None and top not in others


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_lies_below(room):
    ours, others = ALLOWED[room]
    found = [
        f"{path.relative_to(ROOT)}:{line}: imports {module}"
        for path in files(room)
        for line, module in imports(path)
        if wrong(module, ours, others)
    ]
    assert list(files(room))
    assert not found, "\n".join(found)


def test_the_rule_sees_a_breach():
    assert wrong("sim.golden.network", *ALLOWED["hdl"])
    assert wrong("numpy", *ALLOWED["hdl/params"])
    assert wrong("amaranth.hdl", *ALLOWED["sim/golden"])
    assert not wrong("amaranth.hdl", *ALLOWED["hdl"])


def test_deprecated_amaranth_is_not_used():
    """Names that Amaranth 0.6 removes, some of which 0.5 does not warn of."""
    gone = {"Record", "Memory"}
    for path in (ROOT / "hdl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("amaranth", "amaranth.hdl"):
                names = {alias.name for alias in node.names}
                assert not names & gone, f"{path}:{node.lineno}: {names & gone}"
            if isinstance(node, ast.ImportFrom):
                assert node.module != "amaranth.lib.coding", path


def test_every_package_is_in_the_wheel():
    """Each folder with Python files has an __init__.py, so that the wheel takes it."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    include = config["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.rstrip("*") for name in include} == set(ROOMS)
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if "templates" not in path.parts:
                assert (path.parent / "__init__.py").is_file(), path.parent
