"""Train: a straight line by least squares."""

import csv
import json
from pathlib import Path
from statistics import fmean


def train(train_rows: Path, model: Path) -> None:
    """Fits `sold = slope * temperature + intercept` and writes the two numbers."""
    with train_rows.open(newline="") as file:
        days = [(float(row["temperature"]), float(row["sold"])) for row in csv.DictReader(file)]
    middle = fmean(temperature for temperature, _ in days)
    mean_sold = fmean(sold for _, sold in days)
    slope = sum((temperature - middle) * (sold - mean_sold) for temperature, sold in days) / sum(
        (temperature - middle) ** 2 for temperature, _ in days
    )
    line = {"slope": slope, "intercept": mean_sold - slope * middle}
    model.write_text(json.dumps(line) + "\n")
    print(f"one degree more sells {slope:.1f} more")
