"""Evaluate: choose a candidate, then measure it once on rows that took no part in the choice."""

import json
import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

BLUE, GREY, DARK = "#2563eb", "#9ca3af", "#374151"


def evaluate(
    logistic: Path,
    logistic_metrics: Path,
    forest: Path,
    forest_metrics: Path,
    test_rows: Path,
    threshold: float,
    model: Path,
    roc: Path,
    confusion: Path,
) -> dict[str, float]:
    """Keeps the candidate with the better ROC AUC in validation, draws both, and reports the kept one."""
    candidates = {"logistic regression": logistic, "random forest": forest}
    validation = {"logistic regression": logistic_metrics, "random forest": forest_metrics}
    best = max(candidates, key=lambda name: json.loads(validation[name].read_text())["validation_roc_auc"])
    shutil.copyfile(candidates[best], model)
    print(f"chosen by validation: {best}")

    test = pd.read_csv(test_rows)
    target = test.pop("malignant").to_numpy()
    scores = {name: joblib.load(path).predict_proba(test)[:, 1] for name, path in candidates.items()}
    predicted = (scores[best] >= threshold).astype(int)

    draw_roc(target, scores, best, roc)
    draw_confusion(confusion_matrix(target, predicted), best, threshold, confusion)
    return {
        "roc_auc": float(roc_auc_score(target, scores[best])),
        "accuracy": float(accuracy_score(target, predicted)),
        "precision": float(precision_score(target, predicted)),
        "recall": float(recall_score(target, predicted)),
    }


def draw_roc(target: np.ndarray, scores: dict[str, np.ndarray], best: str, path: Path) -> None:
    """Draws the ROC curve of each candidate, the chosen one in colour."""
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance (AUC 0.500)")
    for name, score in sorted(scores.items(), key=lambda item: item[0] == best):
        false_positives, true_positives, _ = roc_curve(target, score)
        axes.plot(
            false_positives,
            true_positives,
            color=BLUE if name == best else GREY,
            linewidth=2.2 if name == best else 1.4,
            label=f"{name}{', chosen' if name == best else ''} (AUC {roc_auc_score(target, score):.3f})",
        )
    axes.set_title(f"ROC curve on {len(target)} test rows", loc="left", fontweight="bold")
    axes.set_xlabel("False positive rate: benign taken for malignant")
    axes.set_ylabel("True positive rate: malignant found")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    save(figure, path)


def draw_confusion(matrix: np.ndarray, best: str, threshold: float, path: Path) -> None:
    """Draws what the chosen candidate got right and wrong at the threshold."""
    names = ["benign", "malignant"]
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1.15)
    for (row, column), count in np.ndenumerate(matrix):
        share = count / matrix[row].sum()
        color = "white" if share > 0.5 else DARK
        axes.text(column, row - 0.05, count, ha="center", va="center", color=color, fontsize=22, fontweight="bold")
        axes.text(column, row + 0.17, f"{share:.1%}", ha="center", va="center", color=color, fontsize=11)
    axes.set_title(f"Confusion matrix on {matrix.sum()} test rows", loc="left", fontweight="bold")
    axes.set_xlabel(f"Predicted by the {best}, threshold {threshold:g}")
    axes.set_ylabel("True diagnosis")
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG whose bytes depend on the picture alone: no version of matplotlib in it."""
    figure.savefig(path, dpi=150, metadata={"Software": None})
