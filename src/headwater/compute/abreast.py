"""Parts of one piece of work, some at a time in threads, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from headwater.compute.engines.duckdb import DuckDBEngine

Part = TypeVar("Part")
Result = TypeVar("Result")


def abreast(
    engine: DuckDBEngine, work: Callable[[Part], Result], parts: Iterable[Part]
) -> Iterator[Result]:
    """The result of each part in the order of the parts, at most `engine.threads` ahead.

    Statements that are run for a part are noted where its result is taken. The first part that
    fails, in their order, raises its error.
    """

    def traced(part: Part) -> tuple[Result, list[str]]:
        with engine.traced() as statements:
            return work(part), statements

    with ThreadPoolExecutor(engine.threads, "headwater-part") as pool:
        waiting: deque[Future[tuple[Result, list[str]]]] = deque()
        try:
            for part in parts:
                waiting.append(pool.submit(traced, part))
                if len(waiting) > engine.threads:
                    yield _taken(engine, waiting)
            while waiting:
                yield _taken(engine, waiting)
        finally:
            for future in waiting:
                future.cancel()


def _taken(engine: DuckDBEngine, waiting: deque[Future[tuple[Result, list[str]]]]) -> Result:
    result, statements = waiting.popleft().result()
    for sql in statements:
        engine.note(sql)
    return result
