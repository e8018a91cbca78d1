"""What a measured process does: call, take the time, and tell its own peak of memory."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any


def peak_mib() -> float:
    """The highest resident size that this process has reached."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_seconds() -> float:
    """Processor time of all threads of this process: what other processes disturb least."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(
    work: Callable[[], Any], calls: int, check: Callable[[Any], list[float]] | None = None
) -> dict[str, Any]:
    """Call a few times: the first call is cold and tells the peak, the others are warm."""
    seconds, cpu = [], []
    before, peak = peak_mib(), 0.0
    found: Any = None
    for call in range(calls):
        found = None
        gc.collect()
        used, began = cpu_seconds(), time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
        cpu.append(cpu_seconds() - used)
        if call == 0:
            peak = peak_mib()
    result: dict[str, Any] = {
        "cold": seconds[0],
        "seconds": seconds[1:] or seconds,
        "cpu": cpu[1:] or cpu,
        "peak_mib": peak,
        "before_mib": before,
    }
    if check is not None:
        result["check"] = check(found)
    return result


def timed_each(work: Callable[[Any], Any], arguments: Sequence[Any]) -> dict[str, Any]:
    """Call once per argument, after a tenth of them to warm up; the median call's time."""
    for argument in arguments[: len(arguments) // 10]:
        work(argument)
    clock = time.perf_counter_ns
    spent = []
    used = cpu_seconds()
    for argument in arguments:
        began = clock()
        work(argument)
        spent.append(clock() - began)
    used = cpu_seconds() - used
    spent.sort()
    return {
        "seconds": [spent[len(spent) // 2] / 1e9],
        "cpu": [used / len(spent)],
        "p99": spent[len(spent) * 99 // 100] / 1e9,
        "peak_mib": peak_mib(),
    }
