"""The command line, thin over FeatureStore: data on stdout, narration on stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 changes (`plan --detailed-exitcode`).
"""

from __future__ import annotations


def main() -> None:
    """The `headwater` command."""
    from headwater.cli.app import run

    run()
