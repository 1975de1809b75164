import os
import signal
import time
from pathlib import Path

import pytest

from codesign.explore import workers as workers_module
from codesign.explore.workers import Here, Lost, Pool, workers_for
from hdl.params.errors import UserError


def square(item):
    return item * item


def deadly(item):
    """Dies at item 3 always, at item 5 once; others take a while."""
    number, folder = item
    flag = Path(folder) / "died"
    if number == 3 or (number == 5 and not flag.exists()):
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return number


def raises(item):
    raise UserError(f"item {item}: no")


def threads(item):
    import numba

    return os.environ["OMP_NUM_THREADS"], numba.config.NUMBA_NUM_THREADS


def parent_of(item):
    return os.getpid()


@pytest.mark.parametrize("size", [0, 1, 3])
def test_all_items_are_done_and_some_left_out(size):
    workers = workers_for(size, None)
    try:
        assert workers.size == max(size, 1)
        assert sorted(workers.run(square, range(7))) == [(i, i * i) for i in range(7)]
        left = sorted(workers.run(square, range(7), lambda i: i % 2 == 0))
        assert left == [(1, 1), (3, 9), (5, 25)]
        assert list(workers.run(square, [])) == []
    finally:
        workers.close()


def test_a_worker_that_dies_takes_nobody_along(tmp_path):
    pool = Pool(2)
    try:
        found = dict(pool.run(deadly, [(i, str(tmp_path)) for i in range(8)]))
    finally:
        pool.close()
    assert sorted(found) == list(range(8))
    assert isinstance(found.pop(3), Lost)
    assert found == {i: i for i in range(8) if i != 3}


@pytest.mark.parametrize("workers", [Here, lambda: Pool(1)])
def test_errors_of_the_work_come_through(workers):
    pool = workers()
    try:
        with pytest.raises(UserError, match="item 4: no"):
            list(pool.run(raises, [4]))
    finally:
        pool.close()


def test_workers_have_one_thread():
    pool = Pool(1)
    try:
        assert list(pool.run(threads, [0])) == [(0, ("1", 1))]
    finally:
        pool.close()


def test_nobody_outlives_the_parent(tmp_path):
    import subprocess
    import sys

    code = (
        "import os, signal\n"
        "from codesign.explore.workers import Pool\n"
        "from tests.codesign.test_explore_workers import parent_of\n"
        "if __name__ == '__main__':\n"
        "    print(dict(Pool(1).run(parent_of, [0]))[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    top = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(top)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    child = int(ran.stdout)
    for _ in range(200):
        if not Path(f"/proc/{child}").exists():
            return
        time.sleep(0.02)
    pytest.fail(f"process {child} lives on")


def test_a_cluster_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers_module, "PATIENCE", 0.3)
    with pytest.raises(UserError) as error:
        workers_for(0, "tcp://127.0.0.1:9")
    assert str(error.value).startswith("dask: no scheduler answers at tcp://127.0.0.1:9 (")
