"""Score: what the registered model says of new patients."""

from pathlib import Path

import joblib
import pandas as pd


def predict(model: Path, patients: Path, predictions: Path) -> None:
    """Writes the probability of a malignant tumour for each patient, rounded to what is meaningful."""
    estimator = joblib.load(model)
    table = pd.read_csv(patients, index_col="patient")
    malignant = estimator.predict_proba(table[estimator.feature_names_in_])[:, 1]
    pd.DataFrame({"malignant": malignant.round(4)}, index=table.index).to_csv(predictions)


def call_back(predictions: Path, urgent_from: float, worklist: Path) -> dict[str, int]:
    """Lists the patients to call back in Markdown, the most urgent first."""
    table = pd.read_csv(predictions)
    urgent = table[table["malignant"] >= urgent_from].sort_values(["malignant", "patient"], ascending=[False, True])
    lines = ["| patient | malignant |", "|---|---|"]
    lines += [f"| {row.patient} | {row.malignant:.1%} |" for row in urgent.itertuples()]
    worklist.write_text("\n".join(lines) + "\n")
    return {"patients": len(table), "call_back": len(urgent)}
