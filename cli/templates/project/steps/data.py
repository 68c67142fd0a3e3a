"""Fetch and prepare: the data, and the two parts that it is split in."""

import csv
import random
from pathlib import Path


def fetch(days: int, seed: int, sales: Path) -> None:
    """Makes up a temperature and a number of sales for each day. Replace this by your own source."""
    chance = random.Random(seed)
    with sales.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["temperature", "sold"])
        for _ in range(days):
            temperature = chance.uniform(10, 35)
            sold = 12 * temperature - 90 + chance.gauss(0, 25)
            table.writerow([round(temperature, 1), max(0, round(sold))])


def split(sales: Path, test_size: float, seed: int, train_rows: Path, test_rows: Path) -> None:
    """Puts a random share of the days aside for the test."""
    header, *rows = sales.read_text().splitlines()
    random.Random(seed).shuffle(rows)
    tested = max(1, round(len(rows) * test_size))
    test_rows.write_text("\n".join([header, *rows[:tested]]) + "\n")
    train_rows.write_text("\n".join([header, *rows[tested:]]) + "\n")
