import pytest

from codesign.explore.plan import Constraint, Plan, varied
from hdl.params.errors import UserError


def test_constraints_are_read():
    assert Constraint.parse("accuracy>=0.93") == Constraint("accuracy", True, 0.93)
    assert Constraint.parse(" lut <= 2e4 ") == Constraint("lut", False, 20000.0)
    assert str(Constraint.parse("lut<=2e4")) == "lut<=20000"
    assert Plan(constraints=("fmax_mhz>=100",)).constraints[0].bound == 100


@pytest.mark.parametrize(
    ("text", "value", "share"),
    [("accuracy>=0.8", 0.8, 0), ("accuracy>=0.8", 0.9, 0), ("accuracy>=0.8", 0.6, 0.25),
     ("lut<=1000", 1500, 0.5), ("dsp<=0", 3, 3), ("dsp<=0", 0, 0)],
)  # fmt: skip
def test_what_breaks_a_constraint_is_relative_to_its_bound(text, value, share):
    assert Constraint.parse(text).broken(value) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy", "constraint: must be NAME>=NUMBER or NAME<=NUMBER, as accuracy>=0.93, "
                     "not 'accuracy'"),
        ("lut<20", "constraint: must be NAME>=NUMBER or NAME<=NUMBER, as accuracy>=0.93, "
                   "not 'lut<20'"),
        ("lut<=nan", "constraint: must be NAME>=NUMBER or NAME<=NUMBER, as accuracy>=0.93, "
                     "not 'lut<=nan'"),
        ("luts<=20", "constraint: 'luts' is unknown; did you mean 'lut'? known: accuracy, nll, "
                     "coverage, set_size, lut, ff, bram, dsp, fmax_mhz, cycles, latency_us, "
                     "energy_uj"),
    ],
)  # fmt: skip
def test_wrong_constraints_are_refused(text, message):
    with pytest.raises(UserError) as error:
        Constraint.parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": ()}, "objectives: name at least one, none twice, not []"),
        ({"objectives": ("lut", "lut")}, "objectives: name at least one, none twice, "
                                         "not ['lut', 'lut']"),
        ({"trials": 0}, "trials: must be a whole number from 1, not 0"),
        ({"seed": -1}, "seed: must be a whole number from 0, not -1"),
        ({"workers": True}, "workers: must be a whole number from 0, not True"),
        ({"seconds": 0}, "seconds: must be a positive time, not 0"),
        ({"seconds": float("inf")}, "seconds: must be a positive time, not inf"),
        ({"sampler": "grid"}, "sampler: must be nsga2 or tpe, not 'grid'"),
        ({"storage": "study.db"}, "storage: must be the URL of a database, as "
                                  "sqlite:///study.db, not 'study.db'"),
        ({"workers": 2, "dask": "tcp://a:1"}, "workers: the dask cluster has its own; give "
                                              "--workers or --dask, not both"),
        ({"vary": {"lanes": ()}}, "vary: lanes has no values; give some, as lanes=1,2,4"),
        ({"vary": {"lanes": (1,)}, "fix": {"lanes": 2}}, "vary: lanes is fixed too; leave out one "
                                                         "of them"),
    ],
)  # fmt: skip
def test_wrong_plans_are_refused(changes, message):
    with pytest.raises(UserError) as error:
        Plan(**changes)
    assert str(error.value) == message


def test_values_to_vary_are_read():
    found = varied(["lanes=1..32*2", "weight-bits=2..5", "scale=layer, neuron", "prune=0,0.5",
                    "width=none,2", "lanes.x=3..4*2"])  # fmt: skip
    assert found == {
        "lanes": (1, 2, 4, 8, 16, 32), "weight_bits": (2, 3, 4, 5), "scale": ("layer", "neuron"),
        "prune": (0, 0.5), "width": (None, 2), "lanes.x": (3,),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["lanes", "=3", "lanes=", "lanes=4..2", "lanes=0..4*2"])
def test_wrong_values_to_vary_are_refused(text):
    with pytest.raises(UserError, match=r"^vary: "):
        varied([text])
