"""Measure limits and Headwater, print the table: python -m bench [--quick] [--only BLOCK ...]."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import http_load, registry, rows
from bench.compare import Block, Line, measure
from bench.measure import HERE, Command, Log, Task, machine, run
from bench.report import facts, notes, table
from bench.sizes import folder_of, shapes, short

BLOCKS = (
    "lookup",
    "sums",
    "aggregates",
    "indicators",
    "ads",
    "read",
    "http",
    "load",
    "memory",
    "wide",
    "registry",
    "lineage",
    "start",
)
LIMIT_MIB = 1024.0
GROWTH = 1.2
WIDE_LIMIT_MIB = 1024.0
WIDE_GROWTH = 1.2


def main() -> int:
    args = _arguments()
    log = Log("quick" if args.quick else "full")
    about = machine()
    log.add(machine=about, arguments=vars(args))
    say = _progress()
    feast = None
    if args.peers:
        from bench.peers import find

        feast, why = find(quick=args.quick)
        if feast is None:
            print(f"peers are skipped: {why}\n", file=sys.stderr)
    began = time.monotonic()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="work-", dir=_work_folder()) as name:
        for block in args.only or BLOCKS:
            lines += _Run(args.quick, args.repeat, Path(name), log, say, feast).block(block)
    say("")
    print(f"{facts(about)}\n\n{table(lines, peers=feast is not None, judge=not args.quick)}\n")
    print(_legend(lines, quick=args.quick))
    print(
        f"\n{time.monotonic() - began:.0f} s; each measurement is in "
        f"{log.path.relative_to(HERE.parent)}"
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the rows, once each")
    parser.add_argument("--repeat", type=int, help="how often each work is measured")
    parser.add_argument("--only", nargs="+", choices=BLOCKS, help="some blocks of rows")
    parser.add_argument("--peers", action="store_true", help="measure Feast too")
    args = parser.parse_args()
    args.repeat = args.repeat or (1 if args.quick else 3)
    return args


def _work_folder() -> Path:
    folder = HERE / "data"
    folder.mkdir(exist_ok=True)
    return folder


def _progress() -> Callable[[str], None]:
    """Narration on one line of stderr; silent where nobody watches."""
    if not sys.stderr.isatty():
        return lambda _text: None
    return lambda text: print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class _Run:
    """One run over blocks of rows, in a folder that goes away with it."""

    def __init__(
        self,
        quick: bool,  # noqa: FBT001
        repeat: int,
        work: Path,
        log: Log,
        say: Callable[[str], None],
        feast: Any,
    ) -> None:
        self.quick, self.repeat, self.work, self.log = quick, repeat, work, log
        self.say, self.feast = say, feast

    def block(self, name: str) -> list[Line]:
        if name == "http":
            return self._http()
        if name == "memory":
            return list(self._memory())
        if name == "wide":
            return list(self._wide())
        if name == "registry":
            return self._registry()
        peer = None if self.feast is None else self.feast.task
        block = self._block(name, peer)
        return measure(block, self.repeat, self.log, self.say, peers=peer is not None)

    def _block(self, name: str, peer: Any) -> Block:
        if name == "start":
            return rows.starts(3 if self.quick else 9)
        if name == "lineage":
            return rows.lineages(self.work, quick=self.quick)
        sets = {
            "lookup": "joins",
            "sums": "windows",
            "aggregates": "windows",
            "indicators": "bars",
            "ads": "ads",
        }
        data = sets.get(name, "latest")
        folder, shape = self._data(data), shapes(quick=self.quick)[data]
        if name == "lookup":
            return rows.lookups(folder, self.work, shape, peer)
        if name == "sums":
            return rows.sums(folder, self.work, shape)
        if name == "aggregates":
            return rows.aggregates(folder, self.work, shape)
        if name == "indicators":
            return rows.indicators(folder, self.work, shape)
        if name == "ads":
            return rows.ads(folder, self.work, shape)
        if name == "read":
            return rows.reads(folder, self.work, shape, peer)
        return rows.load(folder, self.work, shape, peer)

    def _data(self, name: str) -> Path:
        """The folder of a data set; another process makes it, since this one is to stay small."""
        self.say(f"data: {name}")
        quick = ("--quick",) if self.quick else ()
        made = run(Command((sys.executable, "-m", "bench.make_data", *quick, name)))
        if "error" in made:
            raise SystemExit(f"make_data {name}: {made['error']}")
        return folder_of(name, quick=self.quick)

    def _http(self) -> list[Line]:
        work = self.work / "http"
        work.mkdir()
        return http_load.measure(
            self._data("latest"),
            work,
            shapes(quick=self.quick)["latest"].users,
            repeat=self.repeat,
            seconds=1 if self.quick else 5,
            log=self.log,
            say=self.say,
            peer=None if self.feast is None else self.feast.server(self.work / "feast-http"),
        )

    def _registry(self) -> list[Line]:
        work = self.work / "registry"
        work.mkdir()
        measured = registry.measure(
            work, quick=self.quick, repeat=self.repeat, log=self.log, say=self.say
        )
        return list(measured)

    def _memory(self) -> Iterator[Line]:
        """Peak memory of a large load, against that of one a quarter as large."""
        tasks = rows.memory_tasks(self._data("load_5m"), self._data("load_20m"), self.work)
        small, large = (shapes(quick=self.quick)[name] for name in ("load_5m", "load_20m"))
        line = Line(
            f"peak memory, materialize {short(large.rows)} rows to {short(large.users)} keys",
            f"{short(small.rows)} rows to {short(small.users)} keys",
            "MiB",
            GROWTH,
            f"{LIMIT_MIB:.0f} MiB",
        )
        yield self._grown(line, tasks, LIMIT_MIB)

    def _wide(self) -> Iterator[Line]:
        """Peak memory of a wide training set, against that of one with a quarter of the rows."""
        tasks = rows.wide_tasks(self._data("wide_250k"), self._data("wide_1m"), self.work)
        small, large = (shapes(quick=self.quick)[name] for name in ("wide_250k", "wide_1m"))
        line = Line(
            f"peak memory, training set of 500 windowed features, {short(large.rows)} rows x "
            f"{short(large.spine)}, to Parquet",
            f"{short(small.rows)} rows x {short(small.spine)}",
            "MiB",
            WIDE_GROWTH,
            f"{WIDE_LIMIT_MIB:.0f} MiB",
        )
        yield self._grown(line, tasks, WIDE_LIMIT_MIB)

    def _grown(self, line: Line, tasks: tuple[Task, Task], limit: float) -> Line:
        """A line with the peaks of a small work and of a large one."""
        own: list[str] = []
        for work, peaks in zip(tasks, (line.limit, line.product), strict=True):
            self.say("memory")
            done = run(work)
            self.log.add(block="memory", work=work.argv, **done)
            if "error" in done:
                line.note = done["error"]
                return line
            peaks.append(done["peak_mib"])
            own.append(
                f"{done['own_mib']:.0f} MiB without mapped files, {done['cold']:.1f} s "
                f"({done['cpu'][0]:.1f} s CPU)"
            )
        line.note = ", against ".join(reversed(own))
        line.ratio = line.product[0] / line.limit[0]
        line.also = line.product[0] <= limit
        return line


def _legend(lines: list[Line], *, quick: bool) -> str:
    text = (
        "Medians of warm calls (smallest-largest). 'ratio' is Headwater over limit, the median of "
        "turns in which both ran one after the other;\n'CPU' the same of processor time, which "
        "other work on the machine disturbs least. 'MiB': peaks, limit/Headwater, mapped files "
        "included."
    )
    if quick:
        text += "\nTargets are for the full sizes; a quick run judges nothing."
    told = notes(lines)
    return f"{text}\n{told}" if told else text


if __name__ == "__main__":
    sys.exit(main())
