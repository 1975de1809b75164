"""What is no state-space model that can be mapped: every problem by its message, all at once."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from ssm_models import load, load_torch, s4d
from test_ssm_import import lmu, s5
from test_ssm_mamba import mamba

from hdl.params.errors import UserError
from mapping.importers.ssm import inspect_ssm, load_ssm
from mapping.importers.torch_file import read_torch

VECTORS = Path(__file__).parent.parent / "vectors"


def problems(tmp_path, tensors, read=load, **settings):
    """The problems, one a line, without the path."""
    with pytest.raises(UserError) as caught:
        read(tmp_path, tensors, **settings)
    lines = str(caught.value).split("\n  ")
    if len(lines) == 1:
        return [lines[0].split(": ", 1)[1]]
    assert lines[0].endswith(f": {len(lines) - 1} problems")
    return lines[1:]


def without(model, *names):
    return {k: v for k, v in model.items() if k not in names}


def test_all_problems_at_once(tmp_path):
    model = without(s4d(layers=2), "l.0.im", "o.1.weight", "o.1.bias")
    model |= {"l.1.D": np.ones(4), "config.pooling": np.array([7]), "l.0.imm": np.ones(1)}
    expected = [
        "'l.0' (npz) lacks 'l.0.im'",
        "'l.1.D' must be [H] with H = 3, its shape is [4]",
        "'config.pooling' must be one of 0 mean, 1 last, 2 none, not [7]",
        "'o.1.weight' (linear) is missing",
    ]
    for read in (load, load_torch):
        found = problems(tmp_path, model, read)
        assert found[:-1] == expected
        assert found[-1].startswith("has no place for 'l.0.imm'; expected are npz: logdt, ")


def test_unknown_names_say_what_was_expected(tmp_path):
    model = s4d() | {f"extra.{i}": np.ones(1) for i in range(10)} | {"config.colour": np.ones(1)}
    (found,) = problems(tmp_path, model)
    assert found.startswith("has no place for 'extra.0', 'extra.1', ")
    assert " and 3 more; expected are " in found
    assert "npz: logdt, lre, im, C, D" in found
    assert "s5: Lambda, log_step, B, C, D" in found
    (found,) = problems(tmp_path, {"a.weight": np.ones((2, 2))})
    assert found.startswith("holds no state-space layer; expected are ")


WRONG = [
    (s4d, {"l.0.lre": np.ones((3, 2, 1))}, "'l.0.lre' must be [H, N], its shape is [3, 2, 1]"),
    (s4d, {"l.0.im": np.ones((3, 5))},
     "'l.0.im' must be [H, N] with H = 3, N = 2, its shape is [3, 5]"),
    (s4d, {"l.0.C": np.ones((3, 2, 3))}, "'l.0.C' must be [H, N], its shape is [3, 2, 3]"),
    (s4d, {"l.0.im": np.ones((3, 2), complex)}, "'l.0.im' must be real numbers, not complex"),
    (s4d, {"l.0.logdt": np.zeros(0)}, "'l.0.logdt' must be [H], its shape is [0]"),
    (s4d, {"enc.bias": np.ones(4)}, "'enc.bias' must be [O] with O = 3, its shape is [4]"),
    (s4d, {"dec.weight": np.ones((3, 4))}, "'dec' takes 4 values, where 3 arrive"),
    (s4d, {"o.0.weight": np.ones((4, 3)), "o.0.bias": np.ones(4)},
     "'o.0' gives 4 values, where 3 fit"),
    (s4d, {"o.1.weight": np.ones((3, 3))}, "has no place for 'o.1.weight'; expected are "),
    (s4d, {"K1": np.ones((3, 2))}, "has no place for 'K1'; expected are "),
    (s4d, {"Abar0": np.ones((3, 3))}, "'Abar0' must be [3, 2], its shape is [3, 3]"),
    (s4d, {"K0": np.full((3, 2), 1e3)}, "'K0' is up to 1e+03 away from what 'l.0' gives; "
     "export it again or leave it out"),
    (s4d, {"l.0.logdt": np.full(3, 1e4)},
     "'l.0' has parameters so large that its poles overflow"),
    (s4d, {"l.0.lre": np.full((3, 2), -800.0), "l.0.logdt": np.full(3, -30.0)},
     "'l.0': 6 of 6 poles are not stable (|a| up to 1, it must be below 1); "
     "train it with a bound on them"),
    (lambda: s5(0, 3, 4),
     {"seq.Lambda": np.array([-1, 0.5, 2j, -1 + 1j]), "seq.log_step": np.zeros(4)},
     "'seq': 2 of 4 poles are not stable (|a| up to 1.64872, it must be below 1); "
     "train it with a bound on them"),
    (lambda: s5(0, 3, 4), {"seq.C": np.ones((3, 8, 2))},
     "'seq' is bidirectional: it also reads a sequence from its end, which a stream doesn't have; "
     "train it with bidir=False"),
    (lambda: s5(0, 3, 4), {"seq.C": np.ones((3, 5, 2))}, "'seq' has 4 states and reads 5"),
    (lambda: s5(0, 3, 4, "a.") | s5(0, 2, 4, "b."), {},
     "'b.seq' takes 2 values, where 3 arrive"),
    (lambda: s5(0, 3, 4, "a.", "layer") | s5(0, 3, 4, "b."), {},
     "has 1 norms for 2 layers; one each fits"),
    (lambda: lmu(4), {"cell.e_m": np.full((1, 4), 5.0)},
     "'cell': 3 of 4 poles are not stable (|a| up to "),
    (lambda: lmu(16), {"cell.e_m": np.zeros((1, 16))},
     "'cell': the memory of order 16 has no usable diagonal form (condition "),
    (lambda: lmu(4) | s5(0, 3, 4), {}, "holds layers of several families: lmu, s5; split it"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "changes", "expected"), WRONG, ids=range(len(WRONG)))
def test_wrong_models_by_their_message(made, changes, expected, tmp_path):
    (found,) = problems(tmp_path, {**made(), **changes})
    assert found.startswith(expected) if expected.endswith(" ") else found == expected


def test_not_a_number_is_refused_where_it_is_read(tmp_path):
    model = s4d()
    model["l.0.C"][1, 1, 0] = np.nan
    for read in (load, load_torch):
        (found,) = problems(tmp_path, model, read)
        assert found == (
            "'l.0.C' has 1 of 12 values that are NaN or infinite; train or export it again"
        )


def test_settings_by_their_message(tmp_path):
    assert problems(tmp_path, s4d(), pooling="max", colour="red") == [
        "setting 'pooling' must be mean or last or none, not 'max'",
        "setting 'colour' must be ['pooling', 'activation', 'discretisation', 'prenorm', "
        "'residual'], not 'red'",
    ]
    assert problems(tmp_path, s4d(), dt=1e-3, reset="zero", discretisation="euler") == [
        "setting 'dt' is of spiking neurons; remove the setting",
        "setting 'reset' is of spiking neurons; remove the setting",
        "setting 'discretisation' must be zoh or bilinear or dirac, not 'euler'",
    ]
    assert problems(tmp_path, lmu(4), discretisation="zoh") == [
        "discretisation means nothing in this model; leave it out"
    ]
    assert problems(tmp_path, s4d() | {"config.prenorm": np.ones(1)}) == [
        "prenorm means nothing in this model; leave it out"
    ]


def test_an_inspection_tells_what_loading_would(tmp_path):
    model = without(s4d(), "l.0.im")
    expected = problems(tmp_path, model)
    found = inspect_ssm(tmp_path / "model.npz")
    assert list(found.problems) == expected
    assert found.parameters == sum(v.size for v in model.values())
    assert found.nodes == ()


FAMILIES = {
    "s4d": lambda: s4d(layers=2),
    "s5": lambda: s5(0, 3, 4, "a.", "layer") | s5(1, 3, 2, "b.", "batch"),
    "memory": lambda: lmu(3),
    "mamba": lambda: mamba(),
    **{
        case: lambda case=case: read_torch(VECTORS / f"ssm_{case}.pt")
        for case in ("s5_blocks", "s4d_post", "lru_glu", "lru_mlp", "lmu")
    },
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(2))
def test_damaged_models_are_refused_or_read(family, seed, tmp_path):
    """Tensors lost, renamed, reshaped, resized, retyped: a UserError or a Graph, never else."""
    rng = random.Random(seed)
    whole = FAMILIES[family]()
    outcomes = set()
    for _ in range(40):
        model = dict(whole)
        for name in rng.sample(list(model), rng.randint(1, 3)):
            value = np.asarray(model.pop(name))
            change = rng.randrange(7)
            if change == 1:
                model[name + "x"] = value
            elif change == 2:
                model[name] = value[None]
            elif change == 3:
                model[name] = value[:0] if value.ndim else value
            elif change == 4:
                model[name] = np.concatenate([value, value]) if value.ndim else value
            elif change == 5:
                model[name] = value * rng.choice(
                    [0, 1e3, -1e5, 1e300 if value.dtype == float else 1]
                )
            elif change == 6:
                model[name] = value.astype(complex) * 1j
        try:
            graph = load_ssm(tmp_path / "m.pt", tensors=model)
            assert all(np.isfinite(layer.bias).all() for layer in graph.layers)
            outcomes.add("read")
        except UserError:
            outcomes.add("refused")
        inspect_ssm(tmp_path / "m.pt", tensors=model)
    assert "refused" in outcomes, f"seed {seed}"
