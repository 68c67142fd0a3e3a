"""Clean: what comes in can be trusted from here on."""

from pathlib import Path

import pandas as pd


def clean(raw: Path, cleaned: Path) -> dict[str, int]:
    """Gives the columns plain names and drops duplicates and impossible rows; tells how many."""
    table = pd.read_csv(raw)
    table.columns = [name.replace(" ", "_") for name in table.columns]
    measurements = table.drop(columns="diagnosis").apply(pd.to_numeric, errors="coerce")

    # Sizes and shapes can be zero but not negative, and a comparison with a missing value is false.
    possible = (measurements >= 0).all(axis=1) & table["diagnosis"].isin(["malignant", "benign"])
    kept = table[possible].drop_duplicates()

    kept.to_csv(cleaned, index=False)
    return {"rows": len(kept), "dropped": len(table) - len(kept)}
