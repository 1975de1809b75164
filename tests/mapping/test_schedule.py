import numpy as np
import pytest

from hdl.params.errors import UserError
from mapping.schedule import Schedule


def random_graph(rng, depth):
    """Edges between levels 0..depth that have a meaning: (source, target, delay, name)."""
    edges = []
    for k in range(depth + 1):
        for j in range(1, depth + 1):
            if rng.random() < 0.4 and (k == 0 or k != j or rng.random() < 0.5):
                delay = 0 if k < j else 1
                edges.append((k, j, delay, f"{k} -> {j}"))
    return edges


def emission(level, total):
    """Some function of a level's input that never gives 0 twice for different histories."""
    return (total * 31 + level * 7 + 1) % 1009


def by_steps(edges, depth, inputs):
    """Step semantics: levels in order, delay 0 within the step, delay 1 to the next."""
    out = np.zeros((len(inputs), depth + 1), dtype=int)
    for s, value in enumerate(inputs):
        out[s, 0] = value
        for j in range(1, depth + 1):
            total = sum(
                (i + 1) * (out[s, k] if d == 0 else out[s - 1, k] if s else 0)
                for i, (k, t, d, _) in enumerate(edges)
                if t == j
            )
            out[s, j] = emission(j, total)
    return out


def by_ticks(schedule, edges, depth, inputs):
    """What hardware does: accumulators, masks, delivery after all updates of a tick."""
    out = np.zeros((len(inputs), depth + 1), dtype=int)
    acc, done = [0] * (depth + 1), [0] * (depth + 1)

    def deliver(level, value):
        for i, (k, j, _, _) in enumerate(edges):
            if k == level:
                acc[j] += (i + 1) * value

    for t, mask in enumerate(schedule.masks(len(inputs)).tolist()):
        for s, value in enumerate(inputs):
            if schedule.input_tick(s) == t:
                out[s, 0] = value
                deliver(0, value)
        fired = []
        for j in range(1, depth + 1):
            if mask >> (j - 1) & 1:
                assert schedule.tick_of(j, done[j]) == t
                value = out[done[j], j] = emission(j, acc[j])
                acc[j], done[j] = 0, done[j] + 1
                fired.append((j, value))
        for level, value in fired:
            deliver(level, value)
    assert done[1:] == [len(inputs)] * depth
    return out


@pytest.mark.parametrize("seed", range(60))
def test_ticks_compute_what_steps_mean(seed):
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 7))
    edges = random_graph(rng, depth)
    inputs = rng.integers(1, 100, 12).tolist()
    least = Schedule.fit(edges, depth)
    truth = by_steps(edges, depth, inputs)
    for interval in range(least.interval, depth + 3):
        schedule = Schedule.fit(edges, depth, interval)
        assert np.array_equal(by_ticks(schedule, edges, depth, inputs), truth), (seed, interval)
    for interval in range(1, least.interval):  # the law is not only enough, it is needed
        schedule = Schedule(interval, depth)
        assert not np.array_equal(by_ticks(schedule, edges, depth, inputs), truth), seed


def test_masks_follow_their_definition():
    schedule = Schedule(2, 5)
    masks = schedule.masks(4)
    assert len(masks) == schedule.ticks(4) == 3 * 2 + 5
    for t, mask in enumerate(masks.tolist()):
        for level in range(1, 6):
            since = t - (level - 1)
            due = since % 2 == 0 and 0 <= since // 2 < 4
            assert mask >> (level - 1) & 1 == due


def test_no_steps_take_no_ticks():
    assert Schedule(2, 3).ticks(0) == 0
    assert len(Schedule(2, 3).masks(0)) == 0


def test_feed_forward_layers_are_a_pipeline_of_interval_1():
    edges = [(k, k + 1, 0, "") for k in range(9)]
    assert Schedule.fit(edges, 9) == Schedule(1, 9)


def test_self_recurrence_does_not_stop_the_pipeline():
    assert Schedule.fit([(0, 1, 0, ""), (1, 1, 1, ""), (1, 2, 0, "")], 2).interval == 1


@pytest.mark.parametrize(
    ("edge", "text"),
    [
        ((1, 1, 0, "a -> b"), "a -> b: delay 0 must go up in level, not 1 -> 1"),
        ((1, 2, 1, "a -> b"), "a -> b: delay 1 must not go up in level, not 1 -> 2"),
        ((1, 2, 2, "a -> b"), "a -> b: delay must be 0 or 1, not 2"),
    ],
)
def test_edges_without_a_schedule_are_refused(edge, text):
    with pytest.raises(UserError) as error:
        Schedule.fit([edge], 2)
    assert str(error.value) == text


def test_an_interval_that_is_too_short_is_refused():
    with pytest.raises(UserError) as error:
        Schedule.fit([(3, 1, 1, "projection c -> a")], 3, 2)
    assert str(error.value) == "interval must be at least 3 for projection c -> a, not 2"


def test_wrong_parameters():
    with pytest.raises(ValueError, match="interval must be at least 1, not 0"):
        Schedule(0, 1)
