"""Processes that apply to a registry, for tests that kill them or let them race.

`python worker.py VERB URL ...`; each verb is a function below. Narration goes to stdout.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import alembic.command  # noqa: F401 (so that each child need not)
import pymongo.monitoring
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from headwater.errors import ConflictError
from headwater.registry.apply import apply_plan
from headwater.registry.build import build_plan
from headwater.registry.state import load_definitions
from headwater.registry.store import open_registry
from registry.samples import analyze, feature, view


def project(generation):
    """Each generation changes one feature, describes another and adds a third."""
    return analyze(
        [
            view(
                "ads",
                feature("a", f"sum(x + {generation})"),
                feature("b", description=f"as of {generation}"),
                *(feature(f"c{n}") for n in range(generation)),
            )
        ]
    )


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def apply_next(url, author):
    registry = open_registry(url)
    generation = registry.head("demo").generation
    plan = build_plan(registry, "demo", project(generation + 1))
    done = apply_plan(registry, plan, author=author)
    registry.close()
    return done


class Commands(pymongo.monitoring.CommandListener):
    """Calls back before and after each command to MongoDB."""

    def __init__(self, tick):
        self.started = self.succeeded = self.failed = tick


def at_moment(step, act):
    """Call `act` at the n-th moment at which this process talks to the database."""
    left = step

    def tick(*_args, **_kwargs):
        nonlocal left
        left -= 1
        if left == 0:
            act()

    pymongo.monitoring.register(Commands(tick))
    for target, name in (
        (Engine, "after_cursor_execute"),
        (Engine, "commit"),  # before it
        (Pool, "checkin"),  # after it
    ):
        event.listen(target, name, tick)


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def crash(stride, *urls):
    """A child for each registry: it applies, and dies at a moment of that, each at a later one.

    Prints how many died before one came through, or 'more' if none did.
    """
    for number, url in enumerate(urls):
        child = os.fork()
        if child == 0:
            at_moment(1 + number * int(stride), kill_self)
            apply_next(url, author="killed")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            say(number if os.WEXITSTATUS(status) == 0 else "failed")
            return
    say("more")


def forever(url):
    """Apply one generation after the other, naming each, until somebody kills this process."""
    while True:
        say(apply_next(url, author="killed").generation)


def race(url, name):
    """Plan, wait for a line on stdin, apply; the outcome on stdout."""
    registry = open_registry(url)
    plan = build_plan(registry, "demo", analyze([view(f"view_{name}", feature(f"f_{name}"))]))
    say("ready")
    sys.stdin.readline()
    try:
        say(f"won {apply_plan(registry, plan, author=name).generation}")
    except ConflictError as error:
        say(f"lost {str(error).splitlines()[-1]}")


def insist(url, name, rounds):
    """Wait for a line, then add one view after another to what is there, until each is in."""
    registry = open_registry(url)
    say("ready")
    sys.stdin.readline()
    conflicts = 0
    for number in range(int(rounds)):
        mine = view(f"view_{name}_{number}", feature(f"f_{name}_{number}"))
        while True:
            head = registry.head("demo")
            known = load_definitions(registry, "demo", head).views.values()
            plan = build_plan(registry, "demo", analyze([*known, mine]), head=head)
            try:
                apply_plan(registry, plan, author=name)
            except ConflictError:
                conflicts += 1
            else:
                break
    say(f"done {conflicts}")


if __name__ == "__main__":
    {"crash": crash, "forever": forever, "race": race, "insist": insist}[sys.argv[1]](*sys.argv[2:])
