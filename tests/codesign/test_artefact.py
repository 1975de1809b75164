"""The artefact on disk: opened with checks, replaced whole or not at all."""

import json
import shutil

import pytest

from codesign.artefact import MARKER, Artefact, replacing, write_json
from hdl.params.errors import UserError
from tests.codesign.small import compiled, listing


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("artefact"), "--cores", "2", "--weight-bits", "5")


def test_an_artefact_knows_what_it_was_made_of(built):
    artefact = Artefact.open(built)
    assert artefact.settings.quantisation.weight_bits == 5
    assert artefact.settings.target.cores == 2
    assert [p.name for p in artefact.program.populations] == ["lif1", "lif2"]
    assert sum(core is not None for core in artefact.mapped.mesh.cores) == 2
    assert [layer.name for layer in artefact.graph.layers] == ["lif1", "lif2"]
    assert artefact.sources[0].suffix == ".v"
    assert artefact.report["mapping"]["width"] >= 1


def test_a_program_that_is_not_the_verilogs_is_refused(built, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    manifest = json.loads((copy / MARKER).read_text())
    manifest["settings"]["lanes"] = 4
    write_json(copy / MARKER, manifest)
    with pytest.raises(UserError, match="do not belong to the Verilog"):
        _ = Artefact.open(copy).mapped
    shutil.rmtree(copy / "rtl")
    with pytest.raises(UserError, match="rtl/ has no Verilog"):
        _ = Artefact.open(copy).sources


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 1}', "damaged"),
        ('{"version": 9, "model": 1, "settings": 1, "mapping": 1}', "written for version 9"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, content, message):
    (tmp_path / MARKER).write_text(content)
    with pytest.raises(UserError, match=message):
        Artefact.open(tmp_path)


def test_a_missing_directory_and_a_foreign_one(tmp_path):
    with pytest.raises(UserError, match="no such directory; run nervure compile first"):
        Artefact.open(tmp_path / "none")
    with pytest.raises(UserError, match="not an artefact"):
        Artefact.open(tmp_path)


def test_replacing_leaves_the_old_one_if_anything_fails(tmp_path):
    target = tmp_path / "out"
    with replacing(target) as beside:
        (beside / MARKER).write_text("old")
    before = listing(tmp_path)

    def interrupted():
        with replacing(target) as beside:
            (beside / "half").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert listing(tmp_path) == before
    with replacing(target) as beside:
        (beside / MARKER).write_text("new")
    assert (target / MARKER).read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_places_that_are_not_ours_are_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    (tmp_path / "file").write_text("mine")
    before = listing(tmp_path)
    for place, message in (
        ("thesis", "was not written by nervure"),
        ("link", "not a directory"),
        ("file", "not a directory"),
        ("no/such", "does not exist"),
    ):
        with pytest.raises(UserError, match=message), replacing(tmp_path / place):
            pytest.fail("must not begin")
    assert listing(tmp_path) == before


def test_json_is_stable_and_has_no_nan(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": 2})
    assert path.read_text() == '{\n "a": 2,\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
