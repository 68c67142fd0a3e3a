"""Prepare: tables that a model can learn from."""

from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split


def prepare(
    cleaned: Path,
    seed: int,
    test_size: float,
    validation_size: float,
    train_rows: Path,
    validation_rows: Path,
    test_rows: Path,
) -> None:
    """Encodes the diagnosis as 1 (malignant) or 0 and splits the rows, stratified by it.

    Malignant is the positive class because it is what must not be missed. Nothing is scaled here: the scale
    is learnt with the model, from the training rows alone, so that no other row leaks into it.
    """
    table = pd.read_csv(cleaned)
    table["malignant"] = (table.pop("diagnosis") == "malignant").astype(int)

    rest, test = train_test_split(table, test_size=test_size, stratify=table["malignant"], random_state=seed)
    train, validation = train_test_split(
        rest, test_size=validation_size / (1 - test_size), stratify=rest["malignant"], random_state=seed
    )
    for rows, path in [(train, train_rows), (validation, validation_rows), (test, test_rows)]:
        rows.sort_index().to_csv(path, index=False)
