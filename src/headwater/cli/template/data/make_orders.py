"""Writes orders.csv and labels.csv: 40 made-up users over the 60 days before today."""

import csv
import datetime as dt
import random
from pathlib import Path

FOLDER = Path(__file__).parent
USERS = [f"u{number}" for number in range(1, 41)]
DAYS = 60


def main() -> None:
    draw = random.Random(7)
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    minutes = sorted(draw.randrange(DAYS * 24 * 60) for _ in range(800))
    with (FOLDER / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_id", "user_id", "ordered_at", "country", "amount"])
        for number, minute in enumerate(minutes):
            at = today - dt.timedelta(days=DAYS) + dt.timedelta(minutes=minute)
            user = USERS[int(len(USERS) * draw.random() ** 2)]
            country = draw.choice(["DE", "FR", "IT"])
            writer.writerow([number, user, at, country, round(draw.lognormvariate(3, 0.6), 2)])
    with (FOLDER / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "event_timestamp", "bought_again"])
        for user in USERS:
            at = today - dt.timedelta(days=draw.randrange(2, 30), minutes=draw.randrange(1440))
            writer.writerow([user, at, draw.random() < 0.4])


if __name__ == "__main__":
    main()
