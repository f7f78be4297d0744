r"""Confirmatory factor analysis in several groups by maximum likelihood: the numbers.

In group g, :math:`\Sigma_g = \Lambda_g \Phi_g \Lambda_g' + \Theta_g` and :math:`\mu_g = \nu_g + \Lambda_g \alpha_g`,
with diagonal :math:`\Theta_g`. The discrepancy

.. math:: F = \sum_g \frac{n_g}{N} \left[ \log|\Sigma_g| + \mathrm{tr}(S_g \Sigma_g^{-1}) + d_g' \Sigma_g^{-1} d_g
          - \log|S_g| - p \right], \qquad d_g = \bar y_g - \mu_g,

is minimised by Fisher scoring with exact derivatives, and :math:`N F` is the likelihood-ratio statistic against the
saturated model. Cases add scores to the estimates, so errors can be robust and clustered, and the statistic can be
scaled for answers that are not normal.

References
----------
Joreskog, K. G. (1971). Simultaneous factor analysis in several populations. Psychometrika 36, 409-426. Satorra, A.
and Bentler, P. M. (1994). Corrections to test statistics and standard errors in covariance structure analysis. In:
von Eye and Clogg (eds), Latent Variables Analysis, 399-419. Muthen, B. and Satorra, A. (1995). Complex sample data in
structural equation modeling. Sociological Methodology 25, 267-316 (clusters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError, group_sums

__all__ = ["FactorStructure", "GroupData", "StructureFit", "fit_structure", "group_data", "scaling", "scores_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_KINDS = ("loading", "residual", "factor_covariance", "intercept", "factor_mean")


@dataclass(frozen=True)
class GroupData:
    """Answers of the groups, complete cases.

    Attributes
    ----------
    values : tuple of arrays, shape (n_g, p)
    means : tuple of arrays, shape (p,)
    covariances : tuple of arrays, shape (p, p)
        Divided by n_g.
    sizes : array, shape (groups,)
    """

    values: tuple[Floats, ...]
    means: tuple[Floats, ...]
    covariances: tuple[Floats, ...]
    sizes: Floats


@dataclass(frozen=True)
class FactorStructure:
    """Which elements of the matrices are free, and which are the same.

    Attributes
    ----------
    kind, group, row, column, parameter : arrays of int, one per free element
        Element (row, column) of matrix `kind` (an index into loading, residual, factor_covariance, intercept,
        factor_mean) in a group is parameter number `parameter`; elements with the same number are equal.
    fixed_ones : array of int, shape (m, 2)
        Group and factor of the factor variances that are one.
    items, factors, groups, parameters : int
    """

    kind: Ints
    group: Ints
    row: Ints
    column: Ints
    parameter: Ints
    fixed_ones: Ints
    items: int
    factors: int
    groups: int
    parameters: int


@dataclass(frozen=True)
class StructureFit:
    """A fitted structure.

    Attributes
    ----------
    estimates : array, shape (k,)
    information : array, shape (k, k)
        Expected, per case: the covariance of the estimates is its inverse over N.
    discrepancy : float
        F.
    gradient : array, shape (k,)
        Of F at the solution.
    iterations : int
    """

    estimates: Floats
    information: Floats
    discrepancy: float
    gradient: Floats
    iterations: int


def group_data(values: Sequence[Floats]) -> GroupData:
    """Reduce the answers of each group to means and covariances.

    Parameters
    ----------
    values : sequence of arrays, shape (n_g, p)

    Returns
    -------
    GroupData

    Raises
    ------
    ModelError
        If a group has not more cases than items, or an item does not vary or is a combination of others.
    """
    means = tuple(np.asarray(part.mean(axis=0)) for part in values)
    covariances = tuple((part - mean).T @ (part - mean) / len(part) for part, mean in zip(values, means, strict=True))
    for part, covariance in zip(values, covariances, strict=True):
        size = np.sqrt(np.diag(covariance))
        if len(part) <= part.shape[1] or np.any(size == 0.0):
            raise ModelError("a group has not more complete cases than items, or an item without variation")
        if np.linalg.eigvalsh(covariance / np.outer(size, size))[0] < 1e-10:
            raise ModelError("in a group one item is a combination of the others")
    return GroupData(tuple(values), means, covariances, np.array([float(len(part)) for part in values]))


@dataclass(frozen=True)
class _Matrices:
    """The matrices of one group at one value of the parameters."""

    loading: Floats
    residual: Floats
    factor: Floats
    intercept: Floats
    mean: Floats

    @property
    def covariance(self) -> Floats:
        return self.loading @ self.factor @ self.loading.T + np.diag(self.residual)

    @property
    def expectation(self) -> Floats:
        return self.intercept + self.loading @ self.mean


def matrices(structure: FactorStructure, parameters: Floats) -> list[_Matrices]:
    """Lay the parameters out in the matrices of each group."""
    s = structure
    loading, factor = np.zeros((s.groups, s.items, s.factors)), np.zeros((s.groups, s.factors, s.factors))
    residual, intercept, mean = (
        np.zeros((s.groups, s.items)),
        np.zeros((s.groups, s.items)),
        np.zeros((s.groups, s.factors)),
    )
    factor[s.fixed_ones[:, 0], s.fixed_ones[:, 1], s.fixed_ones[:, 1]] = 1.0
    value = parameters[s.parameter]
    for kind, target in ((0, loading), (1, residual), (2, factor), (3, intercept), (4, mean)):
        at = s.kind == kind
        if target.ndim == 3:
            target[s.group[at], s.row[at], s.column[at]] = value[at]
            if kind == 2:
                target[s.group[at], s.column[at], s.row[at]] = value[at]
        else:
            target[s.group[at], s.row[at]] = value[at]
    return [_Matrices(loading[g], residual[g], factor[g], intercept[g], mean[g]) for g in range(s.groups)]


def _element_slopes(structure: FactorStructure, parts: list[_Matrices]) -> list[tuple[Ints, Floats, Floats]]:
    """For each group: parameter numbers, derivatives of Sigma (e, p, p) and of mu (e, p), one per free element."""
    s = structure
    out = []
    for g, part in enumerate(parts):
        at = np.flatnonzero(s.group == g)
        d_sigma, d_mu = np.zeros((at.size, s.items, s.items)), np.zeros((at.size, s.items))
        spread = part.loading @ part.factor
        for place, element in enumerate(at):
            kind, row, column = s.kind[element], s.row[element], s.column[element]
            if kind == 0:
                d_sigma[place, row, :] += spread[:, column]
                d_sigma[place, :, row] += spread[:, column]
                d_mu[place, row] = part.mean[column]
            elif kind == 1:
                d_sigma[place, row, row] = 1.0
            elif kind == 2:
                outer = np.outer(part.loading[:, row], part.loading[:, column])
                d_sigma[place] = outer if row == column else outer + outer.T
            elif kind == 3:
                d_mu[place, row] = 1.0
            else:
                d_mu[place] = part.loading[:, row]
        out.append((s.parameter[at], d_sigma, d_mu))
    return out


def discrepancy(structure: FactorStructure, data: GroupData, parameters: Floats) -> float:
    """Discrepancy F; infinite where a covariance matrix is not positive definite."""
    total = 0.0
    weights = data.sizes / data.sizes.sum()
    for g, part in enumerate(matrices(structure, parameters)):
        sigma = part.covariance
        sign, logdet = np.linalg.slogdet(sigma)
        if sign <= 0 or np.linalg.eigvalsh(sigma)[0] <= 0:
            return float("inf")
        difference = data.means[g] - part.expectation
        inverse = np.linalg.inv(sigma)
        own = np.linalg.slogdet(data.covariances[g])[1]
        fit = (data.covariances[g] * inverse).sum() + difference @ inverse @ difference
        total += weights[g] * (logdet + fit - own - structure.items)
    return float(total)


def derivatives(structure: FactorStructure, data: GroupData, parameters: Floats) -> tuple[Floats, Floats]:
    """Gradient of F and expected information per case (half the expected Hessian of F); shapes (k,), (k, k)."""
    gradient, information = np.zeros(structure.parameters), np.zeros((structure.parameters, structure.parameters))
    weights = data.sizes / data.sizes.sum()
    parts = matrices(structure, parameters)
    for g, (numbers, d_sigma, d_mu) in enumerate(_element_slopes(structure, parts)):
        inverse = np.linalg.inv(parts[g].covariance)
        difference = data.means[g] - parts[g].expectation
        gap = parts[g].covariance - data.covariances[g] - np.outer(difference, difference)
        q = inverse @ gap @ inverse
        slope = np.einsum("eij,ij->e", d_sigma, q) - 2.0 * d_mu @ inverse @ difference
        np.add.at(gradient, numbers, weights[g] * slope)
        turned = inverse @ d_sigma
        block = 0.5 * np.einsum("eij,fji->ef", turned, turned, optimize=True) + d_mu @ inverse @ d_mu.T
        np.add.at(information, (numbers[:, None], numbers[None, :]), weights[g] * block)
    return gradient, information


def fit_structure(structure: FactorStructure, data: GroupData, start: Floats) -> StructureFit:
    """Minimise the discrepancy by Fisher scoring with halved steps.

    Parameters
    ----------
    structure : FactorStructure
    data : GroupData
    start : array, shape (k,)

    Returns
    -------
    StructureFit

    Raises
    ------
    ModelError
        If the minimum is not found, or the model is not identified.
    """
    parameters, value = start.astype(np.float64), discrepancy(structure, data, start)
    gradient, information = derivatives(structure, data, parameters)
    iteration, gain = 0, np.inf
    while iteration < 1000:
        iteration += 1
        scale = np.sqrt(np.maximum(np.diag(information), 1e-12))
        scaled = information / np.outer(scale, scale) + 1e-12 * np.eye(scale.size)
        step = -0.5 * np.linalg.solve(scaled, gradient / scale) / scale
        before, gain = gain, -float(gradient @ step)
        # Below the last digit of F only the gradient can tell, and it does so until the gain no longer falls.
        if gain < 1e-20 or (gain < 1e-13 and gain > 0.9 * before):
            break
        trial, new = _descend(structure, data, parameters, value, step) if gain > 1e-13 else (parameters + step, value)
        if trial is None:
            break
        parameters, value = trial, new
        gradient, information = derivatives(structure, data, parameters)
    value = discrepancy(structure, data, parameters)
    scale = np.sqrt(np.maximum(np.diag(information), 1e-12))
    if np.linalg.eigvalsh(information / np.outer(scale, scale))[0] < 1e-9:
        raise ModelError("the factor model is not identified: a factor needs three items, or two and a related factor")
    if np.max(np.abs(gradient) / scale) > 1e-6:
        raise ModelError("the factor model did not converge; look for items that hardly vary or hardly relate")
    return StructureFit(parameters, information, value, gradient, iteration)


def _descend(
    structure: FactorStructure, data: GroupData, parameters: Floats, value: float, step: Floats
) -> tuple[Floats | None, float]:
    """Halve the step until the discrepancy falls; None if it never does."""
    length = 1.0
    while length > 1e-10:
        trial = parameters + length * step
        new = discrepancy(structure, data, trial)
        if new <= value + 1e-15:
            return trial, new
        length *= 0.5
    return None, value


def scores_of(structure: FactorStructure, data: GroupData, parameters: Floats) -> tuple[Floats, Floats]:
    """Give what each case adds to the score of the log-likelihood, and the observed information per case.

    Parameters
    ----------
    structure : FactorStructure
    data : GroupData
    parameters : array, shape (k,)

    Returns
    -------
    scores : array, shape (N, k)
        Cases in the order of the groups.
    information : array, shape (k, k)
        Minus the mean Hessian of the log-likelihood, by differences of the exact gradient.
    """
    rows = []
    parts = matrices(structure, parameters)
    for g, (numbers, d_sigma, d_mu) in enumerate(_element_slopes(structure, parts)):
        inverse = np.linalg.inv(parts[g].covariance)
        z = (data.values[g] - parts[g].expectation) @ inverse
        trace = np.einsum("eij,ij->e", d_sigma, inverse)
        by_element = 0.5 * (np.einsum("ni,eij,nj->ne", z, d_sigma, z, optimize=True) - trace) + z @ d_mu.T
        block = np.zeros((z.shape[0], structure.parameters))
        np.add.at(block.T, numbers, by_element.T)
        rows.append(block)
    step = 1e-5 * np.maximum(np.abs(parameters), 0.1)
    hessian = np.empty((structure.parameters, structure.parameters))
    for axis, size in enumerate(step):
        move = size * (np.arange(step.size) == axis)
        up, down = (
            derivatives(structure, data, parameters + move)[0],
            derivatives(structure, data, parameters - move)[0],
        )
        hessian[axis] = (up - down) / (2.0 * size)
    return np.vstack(rows), 0.25 * (hessian + hessian.T)


def scaling(
    structure: FactorStructure, data: GroupData, fit: StructureFit, cluster: Sequence[Ints] | None = None
) -> float:
    r"""Give the mean of the statistic under answers of any distribution, :math:`\mathrm{tr}(U \Gamma)`.

    Divided by the degrees of freedom this is the Satorra-Bentler factor; one for normal answers. With clusters, Gamma
    is the covariance of cluster totals (Muthen and Satorra 1995).

    Parameters
    ----------
    structure : FactorStructure
    data : GroupData
    fit : StructureFit
    cluster : sequence of int arrays, one per group, shape (n_g,), optional

    Returns
    -------
    float
    """
    p = structure.items
    lower = np.tril_indices(p)
    parts = matrices(structure, fit.estimates)
    weights = data.sizes / data.sizes.sum()
    slopes = _element_slopes(structure, parts)
    total, middle = 0.0, np.zeros((structure.parameters, structure.parameters))
    for g, (numbers, d_sigma, d_mu) in enumerate(slopes):
        deviations = data.values[g] - data.means[g]
        moments = np.hstack([deviations, deviations[:, lower[0]] * deviations[:, lower[1]]])
        moments = moments - moments.mean(axis=0)
        if cluster is not None:
            codes = np.unique(cluster[g], return_inverse=True)[1].astype(np.int64)
            moments = group_sums(moments, codes, int(codes.max()) + 1)
        gamma = moments.T @ moments / data.sizes[g]
        weight = _normal_weight(np.asarray(np.linalg.inv(parts[g].covariance), dtype=np.float64), lower)
        delta = np.zeros((moments.shape[1], structure.parameters))
        element = np.vstack([d_mu.T, d_sigma[:, lower[0], lower[1]].T])
        np.add.at(delta.T, numbers, element.T)
        total += float((weight * gamma).sum())
        pushed = weight @ delta
        middle += weights[g] * (pushed.T @ gamma @ pushed)
    return total - float((np.linalg.inv(fit.information) * middle).sum())


def _normal_weight(inverse: Floats, lower: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]) -> Floats:
    """Inverse of the covariance of means and (lower) covariances under normality."""
    rows, columns = lower
    double = np.where(rows == columns, 1.0, 2.0)
    block = inverse[np.ix_(rows, rows)] * inverse[np.ix_(columns, columns)]
    block = 0.5 * (block + inverse[np.ix_(rows, columns)] * inverse[np.ix_(columns, rows)])
    p = inverse.shape[0]
    weight = np.zeros((p + rows.size, p + rows.size))
    weight[:p, :p] = inverse
    weight[p:, p:] = 0.5 * block * np.outer(double, double)
    return weight
