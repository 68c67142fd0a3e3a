"""Train: two candidates, one step for each."""

from pathlib import Path

import joblib
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def logistic_regression(
    train_rows: Path, validation_rows: Path, inverse_regularization: float, model: Path
) -> dict[str, float]:
    """Fits a logistic regression. The scaler is part of the model, so it knows the training rows only."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_regularization, max_iter=1000))
    return fit(estimator, train_rows, validation_rows, model)


def random_forest(train_rows: Path, validation_rows: Path, trees: int, seed: int, model: Path) -> dict[str, float]:
    """Fits a random forest. Trees do not mind the scale."""
    estimator = RandomForestClassifier(n_estimators=trees, min_samples_leaf=2, random_state=seed, n_jobs=1)
    return fit(estimator, train_rows, validation_rows, model)


def fit(estimator: ClassifierMixin, train_rows: Path, validation_rows: Path, model: Path) -> dict[str, float]:
    """Fits on the training rows, saves the model, and measures it on the validation rows."""
    estimator.fit(*features_and_target(train_rows))
    joblib.dump(estimator, model)

    features, target = features_and_target(validation_rows)
    malignant = estimator.predict_proba(features)[:, 1]
    return {
        "validation_roc_auc": float(roc_auc_score(target, malignant)),
        "validation_log_loss": float(log_loss(target, malignant)),
    }


def features_and_target(rows: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Reads a table and takes the target off."""
    table = pd.read_csv(rows)
    return table.drop(columns="malignant"), table["malignant"]
