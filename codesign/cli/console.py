"""What a command says: results on stdout, progress on stderr, never silent for long."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

__all__ = ["Json", "Quiet", "Terminal", "Work"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

#: Seconds between two lines about the same work where no live display is possible.
HEARTBEAT = 1.8


class Work:
    """The work in hand: call it with what begins, `count` with how far it is."""

    def __init__(self) -> None:
        self.text, self.done, self.total, self.since = "", 0, 0, time.monotonic()

    def __call__(self, text: str) -> None:
        """Something begins (or goes on)."""
        self.text, self.done, self.total, self.since = text, 0, 0, time.monotonic()

    def count(self, done: int, total: int) -> None:
        """`done` of `total` are done."""
        self.done, self.total = done, total

    def below(self, thing: RenderableType) -> None:
        """What is known so far, below the bar of a terminal; nothing elsewhere."""

    def line(self) -> str:
        """The state as text."""
        of = f" {self.done}/{self.total}" if self.total else ""
        return f"{self.text}{of}"


class _Live(Work):
    """Work as a spinner or a bar on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("starting", total=None)
        super().__init__()

    def __call__(self, text: str) -> None:
        if self.total:  # a bar can't become a spinner again
            self.progress.remove_task(self.task)
            self.task = self.progress.add_task(text, total=None)
        super().__call__(text)
        self.progress.update(self.task, description=text)

    def count(self, done: int, total: int) -> None:
        super().count(done, total)
        self.progress.update(self.task, completed=done, total=total)

    def below(self, thing: RenderableType) -> None:
        self.progress.under = thing  # type: ignore[attr-defined]


class _Lines(Work):
    """Work as lines: one when something begins, one now and then while it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.when = "", time.monotonic()

    def __call__(self, text: str) -> None:
        super().__call__(text)
        self.say(text)

    def say(self, line: str) -> None:
        """One line, not twice the same."""
        if line and line != self.said:
            print(line, file=sys.stderr, flush=True)
            self.said, self.when = line, time.monotonic()

    def beat(self) -> None:
        """A line if the last one is old."""
        now = time.monotonic()
        if now - self.when >= HEARTBEAT:
            self.say(f"{self.line()}, {now - self.since:.0f} s" if self.text else "working")
            self.when = now


class Terminal:
    """Where a command's words go.

    Parameters
    ----------
    json : stdout gets one JSON object, everything else goes to stderr.
    quiet : no progress.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json, self.quiet = json, quiet

    @contextmanager
    def work(self) -> Iterator[Work]:
        """A place to say what is being done; ends with the block."""
        if self.quiet:
            yield Work()
        elif sys.stderr.isatty():
            with _bar() as progress:
                yield _Live(progress)
        else:
            lines, done = _Lines(), threading.Event()

            def beat() -> None:
                while not done.wait(0.2):
                    lines.beat()

            thread = threading.Thread(target=beat, daemon=True)
            thread.start()
            try:
                yield lines
            finally:
                done.set()
                thread.join()

    def note(self, text: str) -> None:
        """A remark on stderr."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def fail(self, message: str, code: int) -> NoReturn:
        """Ends the command after its result with one line on stderr."""
        print(message, file=sys.stderr)
        raise typer.Exit(code)

    def show(self, *things: RenderableType) -> None:
        """Tables and text for people; nothing if JSON is wanted."""
        if self.json:
            return
        from rich.console import Console

        console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
        for thing in things:
            console.print(thing, soft_wrap=isinstance(thing, str))

    def result(self, document: Any) -> None:
        """The one JSON object, if it is wanted."""
        if self.json:
            print(json.dumps(document, indent=1, default=_plain, allow_nan=False))


def _bar() -> Progress:
    """The live display of work."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    class Bar(Progress):
        """Progress with something below it."""

        under: RenderableType = ""

        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            yield self.under

    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _plain(value: Any) -> Any:
    """What JSON does not know as what it knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)
