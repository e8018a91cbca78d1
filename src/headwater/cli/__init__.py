"""The command line, thin over FeatureStore: data on stdout, narration on stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 changes (`plan --detailed-exitcode`), 130 stopped
by Ctrl-C.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """The `headwater` command."""
    try:
        from headwater.cli.app import run

        run()
    except KeyboardInterrupt:  # while it still starts; the commands' own is the framework's
        sys.exit(INTERRUPTED)
