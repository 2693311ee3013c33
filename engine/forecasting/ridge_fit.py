"""Ridge regression of several targets at once, by one Cholesky factorisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from engine.domain.forecast import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Coefficients of ``y = mean + (x - centre) @ weights``.

    Attributes:
        centre: Mean of each feature, shape (p,).
        mean: Mean of each target, shape (k,).
        weights: Shape (p, k).
    """

    centre: FloatArray
    mean: FloatArray
    weights: FloatArray

    def predict(self, x: FloatArray) -> FloatArray:
        """Return the targets of one row of features; shape (k,)."""
        return np.asarray(self.mean + (x - self.centre) @ self.weights)


def fit_ridge(x: FloatArray, y: FloatArray, alpha: float) -> Ridge:
    """Minimise ``|y - f(x)|^2 + alpha |weights|^2`` (Hoerl and Kennard 1970).

    Args:
        x: Features, shape (n, p).
        y: Targets, shape (n, k).
        alpha: Penalty, > 0.
    """
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    xc, yc = x - centre, y - mean
    gram = xc.T @ xc
    gram[np.diag_indices_from(gram)] += alpha
    return Ridge(centre, mean, np.asarray(cho_solve(cho_factor(gram), xc.T @ yc)))


def one_hot(codes: np.ndarray, n: int) -> FloatArray:
    """Return the codes 0..n-1 as rows of an identity matrix; shape (len(codes), n)."""
    return np.asarray(np.eye(n)[codes])
