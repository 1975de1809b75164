"""report.html: complete before and after each stage, without a link to anything else."""

import re
from html.parser import HTMLParser

import pytest

from codesign.artefact import Artefact
from codesign.evaluate import evaluate
from codesign.report import write_report
from codesign.report.page import render
from tests.codesign.small import compiled

VOID = {"meta", "br", "img", "input", "link", "hr"}
SYNTHESIS = {
    "target": "ulx3s-85f", "lut": 4000, "ff": 2000, "bram": 200, "dsp": 0, "fits": True,
    "capacity": {"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156}, "fmax_mhz": 81.25,
    "fmax_median_mhz": 80.0, "fmax_by_seed": {"1": 81.25, "2": 79.0}, "seed": 1,
    "clocks": {"clk": {"fmax_mhz": 81.25, "asked_mhz": 50.0}}, "cycles_per_step": None,
    "critical_path": "from register a to register b: 12.3 ns", "out_of_context": False,
    "warnings": ["a memory <exploded>"], "tools": ["pyosys 1"], "bitstream": None,
    "memories": [
        {"name": f"core.bank_{i}", "depth": 16, "width": 9, "bits": 144, "became": "LUT RAM",
         "dp16kd": 0} for i in range(4)
    ],
}  # fmt: skip
VERIFICATION = {
    "status": "FAIL", "mismatches": 3, "compared_bits": 1234, "steps": 12, "cores": 1, "seed": 7,
    "stages": [
        {"name": "rtl", "status": "FAIL", "reason": "3 mismatches", "seconds": 1.0},
        {"name": "cocotb", "status": "NOT RUN", "reason": "g++ is missing", "seconds": 0.0},
    ],
    "first": [{"sample": 0, "step": 4, "signal": "membrane", "message": "sample 0, step 4"}],
    "replay": "nervure verify x --sample 0", "command": "nervure verify x",
}  # fmt: skip


class Checker(HTMLParser):
    """Every tag closed in order, no id twice."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.words = [], set(), []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        name = dict(attrs).get("id")
        assert name is None or name not in self.ids
        self.ids.add(name)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def check(page):
    """The page's words, after checking its form."""
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert not re.search(r'(src|href)="(?!#)|url\(|@import|<script|https?://', page)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert target in checker.ids
    assert "None" not in " ".join(checker.words)
    assert not re.search(r"\bnan\b|inf\b", page)
    return " ".join(" ".join(checker.words).split())


@pytest.fixture
def artefact(tmp_path):
    return Artefact.open(compiled(tmp_path))


def test_after_compile_the_open_sections_name_their_command(artefact):
    words = check((artefact.directory / "report.html").read_text())
    for command in ("verify", "evaluate", "synth"):
        assert f"It comes with nervure {command} small" in words
    assert "A spiking network of 13 neurons" in words
    assert "Verify not run" in words
    assert "in.npz, sample 0" in words


def test_it_is_a_function_of_the_report(artefact):
    first = write_report(artefact).read_bytes()
    assert write_report(artefact).read_bytes() == first
    assert str(artefact.directory).encode() not in first


def test_all_sections(artefact):
    evaluate(artefact, artefact.directory.parent / "in.npz", rtl=False)
    artefact.add_to_report(synthesis=SYNTHESIS, verification=VERIFICATION)
    page = write_report(artefact).read_text()
    words = check(page)
    assert "It comes with" not in words
    assert "core.bank_*" in words
    assert "a memory &lt;exploded&gt;" in page
    assert "from register a to register b" in words
    assert "3 mismatches" in words
    assert "sample 0, step 4" in words
    assert "g++ is missing" in words
    assert page.count('class="cell') + page.count('class="right') == 9  # confusion of 3 outputs


def test_a_design_that_does_not_fit(artefact):
    over = {**SYNTHESIS, "lut": 100_000, "fits": False, "fmax_mhz": None, "seed": None,
            "critical_path": None, "clocks": {}}  # fmt: skip
    artefact.add_to_report(synthesis=over)
    page = write_report(artefact).read_text()
    assert "does not fit ulx3s-85f" in check(page)
    assert 'class="over"' in page


def test_names_are_escaped_and_an_empty_report_still_renders(artefact):
    hostile = "<script>alert(1)</script>"
    model = artefact.report["model"]
    for p in model["populations"]:
        p["name"] = p["name"].replace("lif1", hostile)
    for p in model["projections"]:
        p["source"], p["target"] = (p[end].replace("lif1", hostile) for end in ("source", "target"))
    page = render({**artefact.manifest, "name": hostile}, {**artefact.report, "model": model})
    check(page)
    check(render(artefact.manifest, {}))


def test_recurrent_populations_and_large_meshes_are_drawn():
    from codesign.report.mesh import mesh
    from codesign.report.network import network

    model = {
        "inputs": [{"name": "in", "size": 3, "graded": True}],
        "outputs": ["b"],
        "populations": [{"name": n, "kind": "LIF", "size": 5, "level": i + 1}
                        for i, n in enumerate("ab")],
        "projections": [
            {"source": s, "target": t, "delay": d, "synapses": 9, "weight_bits": 4}
            for s, t, d in (("in", "a", 0), ("a", "b", 0), ("in", "b", 0), ("b", "a", 1),
                            ("a", "a", 1))
        ],
    }  # fmt: skip
    drawn = network(model)
    assert drawn.count("edge late") == 2
    assert "1 step later" in drawn
    core = {"x": 1, "y": 2, "neurons": 4, "slots": 8, "axons": 3, "index": "lane",
            "weight_bits": 4, "synapse_bits": 2048, "words_per_event": 1.5,
            "slots_by_population": {"a": 4}}  # fmt: skip
    links = {"host>0,0": 3.0, "0,0>host": 2.0, "0,0>1,0": 1.0, "1,0>1,1": 1.0, "1,1>1,2": 4.0}
    drawn = mesh({"width": 2, "height": 3, "cores": [core], "links": links})
    assert drawn.count("router only") == 5
    assert drawn.count('class="link"') == 5
    assert "core 1,2: 4 neurons in 8 slots (a 4)" in drawn
