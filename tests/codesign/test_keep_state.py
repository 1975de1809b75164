"""A sequence that is left and taken up again: `nervure simulate --keep` and `--start`."""

import numpy as np
import pytest

from tests.codesign.small import compiled, run


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("kept"))


def halves(built, folder):
    """The stimulus' first seven steps, and the other five."""
    whole = np.load(built.parent / "in.npz")["spikes"][:4]
    for name, part in (("all", whole), ("first", whole[:, :7]), ("second", whole[:, 7:])):
        np.savez(folder / f"{name}.npz", spikes=part)


def outputs(built, folder, name, backend, *options):
    out = folder / f"{name}_out.npz"
    line = ("simulate", built, "-i", folder / f"{name}.npz", "-o", out, "--backend", backend, "-q")
    assert run(*line, *options) == 0
    return np.load(out)["integers"]


@pytest.mark.parametrize(("before", "after"), [("golden", "rtl"), ("rtl", "golden")])
def test_two_pieces_are_one_sequence(built, tmp_path, before, after):
    halves(built, tmp_path)
    whole = outputs(built, tmp_path, "all", "golden")
    state = tmp_path / "state.npz"
    first = outputs(built, tmp_path, "first", before, "--keep", state)
    second = outputs(built, tmp_path, "second", after, "--start", state)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    fresh = outputs(built, tmp_path, "second", after)
    assert (fresh != second).any()


def test_states_that_do_not_fit_are_refused_in_a_line(built, tmp_path, capsys):
    halves(built, tmp_path)
    state = tmp_path / "state.npz"
    outputs(built, tmp_path, "first", "golden", "--keep", state)
    arrays = dict(np.load(state))
    line = ("simulate", built, "-i", tmp_path / "second.npz", "-o", tmp_path / "o.npz", "-q")

    def refused(changes, message, *options):
        np.savez(tmp_path / "bad.npz", **{**arrays, **changes})
        assert run(*line, "--start", tmp_path / "bad.npz", *options) == 2
        error = capsys.readouterr().err.strip()
        assert message in error
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "o.npz").exists()

    name = "lif1:membrane"
    refused({name: arrays[name][:2]}, "membrane to start from must be integers of shape")
    refused({name: arrays[name] + (1 << 40)}, "membrane to start from must be in")
    refused({name: arrays[name] + 0.5}, "membrane to start from must be integers")
    refused({}, "the float model keeps no state", "--backend", "float")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    assert run(*line, "--start", tmp_path / "other.npz") == 2
    assert "holds no state of small" in capsys.readouterr().err
    assert run(*line, "--keep", tmp_path / "no" / "where.npz") == 2
    assert "does not exist" in capsys.readouterr().err
