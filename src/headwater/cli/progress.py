"""A moving line for long work: what is done, the rate, the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headwater.cli.output import shows_progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

OnProgress = Callable[[Any], None]


@contextmanager
def progress() -> Iterator[OnProgress | None]:
    """What a run tells its progress to, drawn on stderr; None where nobody watches."""
    if not shows_progress():
        yield None
        return
    from rich.console import Console

    with _bars(Console(stderr=True, force_terminal=True)) as bars:
        yield _Listener(bars)


def _bars(console: Any) -> Progress:
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


class _Listener:
    """One bar a view and step; runs of several views report side by side."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, state: Any) -> None:
        name = f"{state.view}, {state.step}" if state.step else state.view
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=state.total, rows=0, rate=0)
        task = self._tasks[name]
        seconds = self._bars.tasks[self._bars.task_ids.index(task)].elapsed or 0.0
        rate = round(state.rows / seconds) if seconds else 0
        self._bars.update(task, completed=state.done, total=state.total, rows=state.rows, rate=rate)
