"""Machine code that was made of other sources is thrown away."""

import sim.golden


def test_machine_code_of_other_sources_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(sim.golden, "HERE", tmp_path)
    cache = tmp_path / "sc" / "__pycache__"
    cache.mkdir(parents=True)
    for digest, kept in (("one", False), ("one", True), ("two", False), ("one", False)):
        code = [cache / "f.nbi", cache / "f.nbc"]
        for path in code:
            path.touch()
        monkeypatch.setattr(sim.golden, "_digest", lambda digest=digest: digest)
        sim.golden._discard_stale()
        assert [path.exists() for path in code] == [kept, kept]


def test_the_digest_is_of_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(sim.golden, "HERE", tmp_path)
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    before = sim.golden._digest()
    source.touch()
    assert sim.golden._digest() == before
    source.write_text("x = 2\n")
    assert sim.golden._digest() != before
