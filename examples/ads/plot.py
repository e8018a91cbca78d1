"""Draw click-through by segment, raw and smoothed: python plot.py FILE.svg."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
AT = "2019-12-01"
SHOWN, MOST = 48, 0.04
KEYS = ", ".join(f"user_feature_{n}" for n in range(4))
NAMES = (
    *("segment_ctr_7d", "segment_ctr_7d_impressions", "segment_ctr_7d_smoothed"),
    *("segment_ctr_7d_low", "segment_ctr_7d_high", "segment_ctr_prior_mean"),
)


def draw(store: Any) -> str:
    """The SVG of segments, from the largest to the smallest, as known at the end of the log."""
    sys.path.insert(0, str(HERE.parent))
    from intervals import Estimate, chart

    spine = f"""
        SELECT DISTINCT {KEYS}, TIMESTAMPTZ '{AT}' AS event_timestamp FROM 'data/events.parquet'
    """
    found = store.get_historical_features(spine, list(NAMES)).to_arrow()
    rows = sorted(found.to_pylist(), key=lambda row: (-row[NAMES[1]], str(row)))
    chosen = [rows[place * (len(rows) - 1) // (SHOWN - 1)] for place in range(SHOWN)]
    estimates = [
        Estimate(row[NAMES[1]], row[NAMES[0]], row[NAMES[2]], row[NAMES[3]], row[NAMES[4]])
        for row in chosen
    ]
    title = f"Click-through by segment, 7 days until {AT}"
    below = f"Impressions of {SHOWN} of {len(rows)} segments, from the largest to the smallest"
    return chart(title, below, estimates, rows[0][NAMES[5]], MOST)


def main() -> None:
    from headwater import FeatureStore
    from headwater.config import load_settings
    from headwater.loading import load_definitions

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the SVG to write")
    parser.add_argument("--project", type=Path, default=HERE, help="the project's folder")
    args = parser.parse_args()
    settings = load_settings(args.project)
    store = FeatureStore(settings=settings)
    store.apply(store.plan(load_definitions(settings), prune=True))
    args.file.write_text(draw(store))
    store.close()
    print(args.file)


if __name__ == "__main__":
    main()
