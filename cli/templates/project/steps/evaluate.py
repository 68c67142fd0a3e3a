"""Evaluate: how well the line fits days that it was not fitted to."""

import csv
import json
from pathlib import Path
from statistics import fmean


def evaluate(model: Path, test_rows: Path, fit: Path) -> dict[str, float]:
    """Returns the metrics (liminal writes them to the file that `metrics:` names) and draws the fit."""
    line = json.loads(model.read_text())
    with test_rows.open(newline="") as file:
        days = [(float(row["temperature"]), float(row["sold"])) for row in csv.DictReader(file)]
    errors = [sold - (line["slope"] * temperature + line["intercept"]) for temperature, sold in days]
    mean_sold = fmean(sold for _, sold in days)
    fit.write_text(draw(days, line), encoding="utf-8")
    return {
        "r2": 1 - sum(error**2 for error in errors) / sum((sold - mean_sold) ** 2 for _, sold in days),
        "rmse": fmean(error**2 for error in errors) ** 0.5,
    }


def draw(days: list[tuple[float, float]], line: dict[str, float]) -> str:
    """Draws the days as points, and the line through them, as SVG."""
    left, right = min(days)[0], max(days)[0]
    most = max(sold for _, sold in days)

    def x(temperature: float) -> str:
        return f"{50 + 500 * (temperature - left) / (right - left):.1f}"

    def y(sold: float) -> str:
        return f"{330 - 280 * sold / most:.1f}"

    ends = [(temperature, line["slope"] * temperature + line["intercept"]) for temperature in (left, right)]
    points = "\n".join(
        f'<circle cx="{x(temperature)}" cy="{y(sold)}" r="3" fill="#9ca3af"/>' for temperature, sold in days
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 380" font-family="sans-serif" font-size="13">
<rect width="600" height="380" fill="white"/>
<text x="50" y="28" font-size="15" font-weight="bold">Ice creams sold on {len(days)} test days</text>
<path d="M50 50V330H550" fill="none" stroke="#374151"/>
<text x="300" y="365" text-anchor="middle">temperature, from {left:g} to {right:g} °C</text>
<text x="25" y="190" text-anchor="middle" transform="rotate(-90 25 190)">sold, up to {most:g}</text>
{points}
<path d="M{x(ends[0][0])} {y(ends[0][1])}L{x(ends[1][0])} {y(ends[1][1])}" stroke="#2563eb" stroke-width="2.5"/>
</svg>
"""
