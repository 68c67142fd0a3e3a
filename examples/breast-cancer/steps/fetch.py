"""Fetch: the data as the source has it."""

from pathlib import Path

from sklearn.datasets import load_breast_cancer


def fetch(raw: Path) -> None:
    """Writes the 569 rows with scikit-learn's own column names and the diagnosis as a word.

    The data is bundled with scikit-learn, so this needs no network. A real project would download here.
    """
    bunch = load_breast_cancer(as_frame=True)
    table = bunch.data.copy()
    table["diagnosis"] = bunch.target.map(dict(enumerate(bunch.target_names)))
    table.to_csv(raw, index=False)
