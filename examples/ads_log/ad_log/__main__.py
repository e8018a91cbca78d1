"""Write a log: python -m ad_log --out data [--users 1000 --impressions 100000 ...]."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ad_log import Settings, write


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data"))
    for field in fields(Settings):
        kind = type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    given = vars(parser.parse_args())
    folder = given.pop("out")
    for name, rows in write(folder, Settings(**given)).items():
        print(f"{folder / name}.parquet  {rows:,} rows")


if __name__ == "__main__":
    main()
