"""Stimulus files: what is read, what is refused and in which words, and what is written."""

import contextlib
import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim.npz
from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.program import Formats, Input, Program
from sim.npz import read_npz, write_npz
from sim.stimulus import (
    Stimulus,
    quantise_inputs,
    read_stimulus,
    real_outputs,
    write_outputs,
)
from tests.kit import random_program


def program_of(*inputs, payload_bits=4):
    return Program(
        name="p", formats=Formats(payload_bits=payload_bits), inputs=inputs, populations=(),
        projections=(), outputs=(),
    )  # fmt: skip


def stimulus_of(inputs):
    inputs = np.asarray(inputs)
    return Stimulus(inputs=inputs, lengths=np.full(len(inputs), inputs.shape[1]))


def saved(folder, **arrays):
    path = folder / "in.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("key", ["events", "spikes"])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_spikes_are_read_as_uint8(tmp_path, key, dtype):
    spikes = np.random.default_rng(1).integers(0, 2, (3, 5, 4)).astype(dtype)
    got = read_stimulus(saved(tmp_path, **{key: spikes}), inputs=4)
    assert got.inputs.dtype == np.uint8
    np.testing.assert_array_equal(got.inputs, spikes)
    assert got.lengths.tolist() == [5, 5, 5]
    assert got.labels is None
    assert (got.samples, got.steps) == (3, 5)


def test_two_dimensions_are_one_sample(tmp_path):
    got = read_stimulus(saved(tmp_path, values=np.full((5, 4), -0.5), labels=2), outputs=3)
    assert got.inputs.shape == (1, 5, 4)
    assert got.inputs.dtype == np.float64
    assert got.labels is not None
    assert got.labels.tolist() == [2]


def test_labels_and_lengths_are_read(tmp_path):
    path = saved(
        tmp_path, spikes=np.zeros((2, 5, 4)), labels=np.array([1.0, 0.0]), lengths=np.array([5, 1])
    )
    got = read_stimulus(path, inputs=4, outputs=2)
    assert got.labels is not None
    assert got.labels.tolist() == [1, 0]
    assert got.labels.dtype == np.int64
    assert got.lengths.tolist() == [5, 1]


OK = np.zeros((2, 5, 63))
NAN = np.where(np.arange(5 * 64).reshape(5, 64) == 65, np.nan, 0.0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"spikes": OK}, "model has 64 inputs, file has 63"),
        ({"other": OK}, "needs exactly one of events, spikes or values, has no arrays"),
        (
            {"spikes": OK, "values": OK},
            "needs exactly one of events, spikes or values, has spikes and values",
        ),
        ({"values": NAN}, "values[0, 1, 1] is not a finite number"),
        ({"spikes": NAN}, "spikes[0, 1, 1] is not a finite number"),
        (
            {"events": np.full((2, 5, 64), 2.0)},
            "events must be 0 or 1, events[0, 0, 0] is 2.0 "
            "(real numbers belong under the key 'values')",
        ),
        ({"spikes": np.zeros(5)}, "spikes must be [steps, inputs] or [samples, steps, inputs]"),
        ({"spikes": np.zeros((2, 0, 64))}, "spikes is empty: 2 samples of 0 steps"),
        ({"spikes": np.array([["a"]])}, "spikes must hold numbers, not <U1"),
        ({"values": np.zeros((2, 5, 64), complex)}, "values must hold numbers, not complex128"),
        (
            {"spikes": np.array([[object()]])},
            "arrays of Python objects are not accepted",
        ),
        ({"lengths": [5, 0]}, "lengths[1] is 0, must be in 1..5 (steps)"),
        ({"lengths": [6, 1]}, "lengths[0] is 6, must be in 1..5 (steps)"),
        ({"lengths": [1]}, "lengths must be [2], one per sample, not [1]"),
        ({"lengths": [1, 2.5]}, "lengths must hold whole numbers"),
        ({"labels": [0, 10]}, "labels[1] is 10, must be in 0..9 (outputs)"),
        ({"labels": [-1, 0]}, "labels[0] is -1, must be in 0..9 (outputs)"),
        ({"labels": [np.nan, 0]}, "labels must hold whole numbers"),
        ({"labels": ["a", "b"]}, "labels must hold whole numbers"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path, arrays, message):
    if not set(arrays) & {"events", "spikes", "values", "other"}:
        arrays["spikes"] = np.zeros((2, 5, 64))
    path = saved(tmp_path, **arrays)
    with pytest.raises(UserError) as caught:
        read_stimulus(path, inputs=64, outputs=10)
    text = str(caught.value)
    assert text.startswith(f"{path}: {message}")
    assert "\n" not in text
    assert caught.value.exit_code == 2


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.npz: no such file"):
        read_stimulus(tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"is a folder, not a \.npz file"):
        read_stimulus(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04 pickle", b"1,2,3"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "in.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is not a \.npz file"):
        read_stimulus(path)


@given(place=st.floats(0, 1), change=st.integers(1, 255), cut=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_never_ends_in_a_traceback(tmp_path_factory, place, change, cut):
    path = tmp_path_factory.mktemp("damaged") / "in.npz"
    np.savez_compressed(path, spikes=np.ones((2, 5, 4), np.uint8), labels=np.array([1, 2]))
    data = bytearray(path.read_bytes())
    k = min(int(place * len(data)), len(data) - 1)
    data[k] ^= change
    path.write_bytes(bytes(data[:k] if cut else data))
    with contextlib.suppress(UserError):
        read_stimulus(path, inputs=4)


def test_an_absurd_size_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(sim.npz, "MAX_BYTES", 1000)
    path = saved(tmp_path, spikes=np.zeros((1, 100, 100), np.uint8))
    with pytest.raises(UserError, match="spikes has 0 GiB, more than 0 GiB: split the file"):
        read_stimulus(path)


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 20, 1 << 19)}
    np.lib.format.write_array_header_1_0(buffer, header)
    path = tmp_path / "in.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("spikes.npy", buffer.getvalue())
    with pytest.raises(UserError, match=r"in\.npz: "):
        read_stimulus(path)


def test_graded_inputs_round_half_up_and_saturate():
    program = program_of(Input(name="a", size=7, graded=True, scale=0.5))
    x = [[[0.25, -0.25, 0.24, -0.26, 3.6, 99.0, -99.0]]]
    assert quantise_inputs(program, stimulus_of(x)).tolist() == [[[1, 0, 0, -1, 7, 7, -8]]]


def test_several_inputs_stand_side_by_side():
    program = program_of(
        Input(name="a", size=1),
        Input(name="b", size=2, graded=True, scale=2.0),
        Input(name="c", size=1),
    )
    got = quantise_inputs(program, stimulus_of([[[1.0, 4.0, -3.0, 0.0]]]))
    assert got.dtype == np.int64
    assert got.tolist() == [[[1, 2, -1, 0]]]
    with pytest.raises(UserError, match=r"input c takes spikes, 0 or 1, values\[0, 0, 3\] is 0.5"):
        quantise_inputs(program, stimulus_of([[[1.0, 4.0, -3.0, 0.5]]]))
    with pytest.raises(UserError, match="stimulus: model has 4 inputs, file has 1"):
        quantise_inputs(program, stimulus_of([[[1.0]]]))


def test_spike_inputs_stay_small():
    got = quantise_inputs(program_of(Input(name="a", size=2)), stimulus_of([[[1, 0]]]))
    assert got.dtype == np.uint8
    assert got.tolist() == [[[1, 0]]]


def outputs_of(emit):
    program = random_program(4, (3, (2, 2)), graded=True, emit=emit)
    return program, np.random.default_rng(1).integers(-3, 4, (2, 6, 4))


def test_real_outputs_are_units_times_their_scale():
    program, integers = outputs_of(Emit.STATE)
    scales = np.concatenate([p.membrane_scale for p in program.populations])
    np.testing.assert_array_equal(real_outputs(program, integers), integers * scales)
    program, integers = outputs_of(Emit.VALUE)
    np.testing.assert_array_equal(real_outputs(program, integers), integers * 0.125)
    program, integers = outputs_of(Emit.SPIKE)
    np.testing.assert_array_equal(real_outputs(program, integers), integers)


def test_outputs_are_written_and_read_back(tmp_path):
    program, integers = outputs_of(Emit.STATE)
    path = tmp_path / "out.npz"
    write_outputs(path, program, integers, decision=[0, 3], confidence=[0.5, 1], labels=[0, 1])
    with np.load(path) as got:
        assert list(got) == ["spikes", "values", "integers", "decision", "confidence", "labels"]
        np.testing.assert_array_equal(got["spikes"], integers != 0)
        np.testing.assert_array_equal(got["values"], real_outputs(program, integers))
        np.testing.assert_array_equal(got["integers"], integers)
        assert got["decision"].tolist() == [0, 3]
        assert got["confidence"].tolist() == [0.5, 1.0]


def test_the_same_outputs_are_the_same_bytes(tmp_path):
    program, integers = outputs_of(Emit.VALUE)
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    write_outputs(first, program, integers)
    os.utime(first, (0, 0))
    write_outputs(second, program, np.asfortranarray(integers))
    assert first.read_bytes() == second.read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.npz"
    path.write_bytes(b"old")

    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(UserError, match=r"out\.npz: can't be written: No space left on device"):
        write_npz(path, {"a": np.zeros(3)})
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"out\.npz: can't be written: No such file or directory"):
        write_npz(tmp_path / "none" / "out.npz", {"a": np.zeros(3)})


def test_only_wanted_arrays_are_read(tmp_path):
    write_npz(tmp_path / "a.npz", {"a": np.arange(3), "b": np.arange(4)})
    assert list(read_npz(tmp_path / "a.npz", ("b", "c"))) == ["b"]
