"""Who runs trials: this process, processes of this machine, or a dask cluster; all alike.

`run(work, items, skip)` gives (index, result) as results come; what is given back for an item
doesn't depend on who ran it. A worker that dies takes nobody along: what it had in hand is tried
once more, alone, and is Lost if that kills a worker too. Workers compute with one thread each.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from hdl.params.errors import ToolMissing, UserError

__all__ = ["Lost", "Workers", "workers_for"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Seconds that a dask scheduler may take to answer, and a cluster may be without a worker.
PATIENCE = 10.0


class Lost:
    """The result of an item that a worker died of."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


Work = Callable[[Any], Any]
Skip = Callable[[int], bool]


class Workers(Protocol):
    """`size`: items in work at once."""

    size: int

    def run(self, work: Work, items: Sequence[Any], skip: Skip = ...) -> Iterator[tuple[int, Any]]:
        """(index, work(item)) for all items, as they are done.

        skip : asked before an item begins; True leaves it out. What `work` raises is raised here.
        """
        ...

    def close(self) -> None:
        """Ends all work, finished or not."""
        ...


def _never(index: int) -> bool:
    return False


class Here:
    """This process, one item after the other."""

    size = 1

    def run(
        self, work: Work, items: Sequence[Any], skip: Skip = _never
    ) -> Iterator[tuple[int, Any]]:
        for index, item in enumerate(items):
            if not skip(index):
                yield index, work(item)

    def close(self) -> None:
        pass


def _begin() -> None:
    """In a new worker: one thread, Ctrl-C is the parent's, and no life after the parent's."""
    for name in THREADS:
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class Pool:
    """Processes of this machine, begun anew (spawn), so that threads here don't matter there."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pool: ProcessPoolExecutor | None = None

    def _submit(self, work: Work, item: Any) -> Future:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                self.size, multiprocessing.get_context("spawn"), initializer=_begin
            )
        return self.pool.submit(work, item)

    def run(
        self, work: Work, items: Sequence[Any], skip: Skip = _never
    ) -> Iterator[tuple[int, Any]]:
        waiting = iter(range(len(items)))
        running: dict[Future, int] = {}
        again: list[int] = []
        while True:
            try:
                while len(running) < self.size and (i := next(waiting, None)) is not None:
                    if not skip(i):
                        running[self._submit(work, items[i])] = i
            except BrokenProcessPool:
                again.append(i)  # type: ignore[arg-type]
            if not running and not again:
                return
            done, _ = wait(running, None, FIRST_COMPLETED)
            for future in sorted(done, key=running.__getitem__):
                i = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    again.append(i)
                else:
                    yield i, future.result()
            if again and not running:
                yield from self._alone(work, items, sorted(again))
                again = []

    def _alone(
        self, work: Work, items: Sequence[Any], again: list[int]
    ) -> Iterator[tuple[int, Any]]:
        """What was in hand when a worker died, one by one."""
        self.close()
        for i in again:
            future = self._submit(work, items[i])
            if isinstance(future.exception(), BrokenProcessPool):
                yield i, Lost("its worker died twice (killed, or out of memory)")
                self.close()
            else:
                yield i, future.result()

    def close(self) -> None:
        if self.pool is None:
            return
        processes = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        self.pool = None


class Cluster:
    """The workers of a dask scheduler; they must see the same files."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ToolMissing(
                "dask.distributed is not installed; run: pip install 'nervure[cluster]'"
            ) from None
        self.address = address
        try:
            self.client = Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"dask: no scheduler answers at {address} "
                f"({str(error).splitlines()[0] or type(error).__name__}); start one with "
                "`dask scheduler`, or give its address"
            ) from None
        self.size = self._threads()
        if not self.size:
            self.close()
            raise UserError(
                f"dask: the scheduler at {address} has no workers; start some with "
                f"`dask worker {address} --nthreads 1`"
            )

    def _threads(self) -> int:
        return sum(self.client.nthreads().values())

    def run(
        self, work: Work, items: Sequence[Any], skip: Skip = _never
    ) -> Iterator[tuple[int, Any]]:
        from distributed import wait as wait_for

        waiting = iter(range(len(items)))
        running: dict[Any, int] = {}
        while True:
            while len(running) < self.size and (i := next(waiting, None)) is not None:
                if not skip(i):
                    running[self.client.submit(work, items[i], pure=False)] = i
            if not running:
                return
            try:
                with self.client.as_current():
                    done = wait_for(list(running), 1.0, "FIRST_COMPLETED").done
            except TimeoutError:
                self._alive()
                continue
            for future in sorted(done, key=running.__getitem__):
                yield running.pop(future), self._result(future)

    def _result(self, future: Any) -> Any:
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            return Lost(str(error).splitlines()[0])

    def _alive(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except (TimeoutError, OSError):
            raise UserError(
                f"dask: the scheduler at {self.address} has lost all its workers; start some and "
                "explore again, what is finished is kept"
            ) from None

    def close(self) -> None:
        self.client.close()


def workers_for(workers: int, dask: str | None) -> Workers:
    """A cluster if there is an address, else `workers` processes, else this one."""
    if dask is not None:
        return Cluster(dask)
    return Pool(workers) if workers else Here()
