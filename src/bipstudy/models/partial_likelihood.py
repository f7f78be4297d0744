r"""Cox's partial likelihood for counting-process data, as functions on arrays.

A row contributes to the risk sets of the event times in the half-open interval ``(start, stop]`` of its stratum. With
:math:`r_i = w_i \exp(x_i'\beta)`, slot :math:`g` an event time of a stratum with :math:`d_g` events of total weight
:math:`w_g`, and :math:`S^{(q)}_{gm} = \sum_{i \in R_g} r_i x_i^{q} - \frac{m}{d_g} \sum_{i \in D_g} r_i x_i^{q}`
(Efron; without the second sum: Breslow),

.. math::

    \ell(\beta) = \sum_i w_i \delta_i x_i'\beta - \sum_g \frac{w_g}{d_g} \sum_{m=0}^{d_g - 1} \log S^{(0)}_{gm}.

Gradient and information are computed from one pass over the rows each: the gradient is :math:`X'M` with :math:`M` the
weighted martingale residuals, and the information is :math:`X' \mathrm{diag}(r_i H_i) X` less the outer products of the
mean covariates of the slots, with :math:`H_i` the hazard cumulated over the row's interval.

References
----------
Cox, D. R. (1972). Regression models and life-tables. JRSS B 34, 187-220.
Efron, B. (1977). The efficiency of Cox's likelihood function for censored data. JASA 72, 557-565.
Therneau, T. M. & Grambsch, P. M. (2000). Modeling Survival Data: Extending the Cox Model. Springer.
"""

from dataclasses import dataclass

import numpy as np

from bipstudy.models.covariance import ModelError
from bipstudy.models.risk_sets import Booleans, Floats, Integers, RiskSets, cumulate, slot_sums

# Rows are worked through in pieces that fit in the processor's cache.
_BLOCK = 4096
# The scaled information has ones on its diagonal; what is left of a column after the others is its 1 - R^2.
_COLLINEAR = 1e-10
# The Newton decrement is (distance to the maximum / standard error)^2: after a step taken at 1e-10 the distance is of
# the order 1e-10 standard errors, because convergence is quadratic.
_DECREMENT = 1e-10
# What a sum of squares may fall below zero by rounding: as a share of the largest, and where all have vanished.
_ROUNDING, _VANISHED = 1e-9, 1e-12


@dataclass(frozen=True)
class Evaluation:
    """The partial likelihood and its derivatives at one value of the coefficients.

    Attributes
    ----------
    beta, gradient : (k,) float64
    information : (k, k) float64
        Minus the second derivative.
    log_likelihood : float
    risk : (n,) float64
        ``weight * exp(x @ beta - shift)``.
    hazard : (n,) float64
        Hazard cumulated over the row, on the scale of `risk`; ``risk * hazard`` is the expected number of events.
    terms : (g, 5) float64
        Output of `kernels.tie_terms`.
    s0, s0_events : (g,) float64
    s1, s1_events : (g, k) float64
        Sums over the risk set and over the events of each slot.
    event_weight : (g,) float64
    shift : float
        Subtracted from the linear predictor so that its exponential cannot overflow.
    """

    beta: Floats
    log_likelihood: float
    gradient: Floats
    information: Floats
    risk: Floats
    hazard: Floats
    terms: Floats
    s0: Floats
    s0_events: Floats
    s1: Floats
    s1_events: Floats
    event_weight: Floats
    shift: float


@dataclass(frozen=True)
class Tail:
    """Rows that stay in later risk sets after they have stopped (competing events in Fine and Gray's model).

    In slot g, row ``rows[i]`` counts with ``inverse[i] * factor[g]`` from slot ``begin[i]`` on. One stratum only.

    Attributes
    ----------
    rows, begin : (m,) int64
    inverse : (m,) float64
    factor : (g,) float64
    """

    rows: Integers
    begin: Integers
    inverse: Floats
    factor: Floats


@dataclass(frozen=True)
class Maximum:
    """Where Newton's method ended.

    Attributes
    ----------
    at : Evaluation
    start : Evaluation
        At the initial value (all zero unless given).
    iterations : int
    direction : (k,) float64
        The last Newton step. It is not small, in standard deviations of the covariates, if the likelihood is monotone.
    monotone : (k,) bool
        Coefficients that the likelihood drives to infinity.
    """

    at: Evaluation
    start: Evaluation
    iterations: int
    direction: Floats
    monotone: Booleans


def event_totals(sets: RiskSets, weight: Floats, *, frequency: bool) -> tuple[Integers, Floats]:
    """Count and total weight of the events in each slot; rows of weight zero do not count.

    With `frequency` a weight of two counts as two tied events.
    """
    slot = sets.top[sets.event_rows]
    own = weight[sets.event_rows]
    slots = sets.time.shape[0]
    total = slot_sums(slot, own, slots)
    count = np.rint(total) if frequency else np.bincount(slot[own > 0], minlength=slots)
    return count.astype(np.int64), total


def evaluate(
    *,
    x: Floats,
    beta: Floats,
    weight: Floats,
    sets: RiskSets,
    efron: bool = True,
    frequency: bool = False,
    tail: Tail | None = None,
) -> Evaluation:
    """Partial log likelihood, gradient and information at `beta`.

    Parameters
    ----------
    x : (n, k) float64, C-contiguous
        Covariates, best centred.
    beta : (k,) float64
    weight : (n,) float64
        Case weights, not negative.
    sets : RiskSets
    efron : bool
        Efron's approximation for ties, else Breslow's.
    frequency : bool
        Whole weights stand for so many identical rows, also among ties.
    tail : Tail, optional
        Rows that stay at risk with falling weight after they have stopped.

    Returns
    -------
    Evaluation
    """
    from bipstudy.models import kernels

    slots, k = sets.time.shape[0], x.shape[1]
    predictor = x @ beta
    shift = float(predictor.max(initial=-np.inf)) if predictor.size else 0.0
    risk = np.exp(predictor - shift)
    risk *= weight
    s0, s0_events = np.empty(slots), np.empty(slots)
    s1, s1_events = np.empty((slots, k)), np.empty((slots, k))
    kernels.risk_set_sums(x, risk, sets.top, sets.below, sets.last, s0, s1)
    kernels.event_sums(x, risk, sets.event_rows, sets.top, s0_events, s1_events)
    if tail is not None:
        _add_tail(x, risk, tail, s0, s1)
    count, total = event_totals(sets, weight, frequency=frequency)
    terms = np.empty((slots, 5))
    log_sum = kernels.tie_terms(s0, s0_events, count, total, efron, terms)
    event_weight = weight[sets.event_rows]
    log_likelihood = float(event_weight @ (predictor[sets.event_rows] - shift)) - log_sum
    hazard = row_hazard(sets, terms, tail)
    products, sums = _weighted_products(x, risk * hazard)
    return Evaluation(
        beta=beta,
        log_likelihood=log_likelihood,
        gradient=event_weight @ x[sets.event_rows] - sums,
        information=_less_outer_products(products, terms, s1, s1_events),
        risk=risk,
        hazard=hazard,
        terms=terms,
        s0=s0,
        s0_events=s0_events,
        s1=s1,
        s1_events=s1_events,
        event_weight=total,
        shift=shift,
    )


def row_hazard(sets: RiskSets, terms: Floats, tail: Tail | None = None) -> Floats:
    """Hazard cumulated over each row, less what Efron's rule spares the tied events, shape (n,)."""
    cumulated = cumulate(terms[:, 0], sets.last)
    hazard = cumulated[sets.top] - cumulated[sets.below]
    hazard[sets.event_rows] -= terms[sets.top[sets.event_rows], 1]
    if tail is not None:
        hazard[tail.rows] += tail.inverse * _after(tail, terms[:, 0])
    return np.asarray(hazard)


def _add_tail(x: Floats, risk: Floats, tail: Tail, s0: Floats, s1: Floats) -> None:
    """Add the rows that have stopped but stay at risk to the sums over risk sets."""
    lasting, slots = risk[tail.rows] * tail.inverse, s0.shape[0]
    s0 += tail.factor * np.cumsum(slot_sums(tail.begin, lasting, slots + 1)[:-1])
    for j in range(x.shape[1]):
        column = slot_sums(tail.begin, lasting * x[tail.rows, j], slots + 1)[:-1]
        s1[:, j] += tail.factor * np.cumsum(column)


def _after(tail: Tail, values: Floats) -> Floats:
    """Sum of factor times `values` over the slots that each row of the tail stays at risk in."""
    shape = (-1,) + (1,) * (values.ndim - 1)
    cumulated = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(tail.factor.reshape(shape) * values, axis=0, out=cumulated[1:])
    return np.asarray(cumulated[-1] - cumulated[tail.begin])


def slot_weighted_information(
    *, x: Floats, at: Evaluation, sets: RiskSets, factor: Floats, tail: Tail | None = None
) -> Floats:
    """Information with the contribution of each slot multiplied by `factor` (slots,), shape (k, k)."""
    terms = at.terms * factor[:, None]
    products, _ = _weighted_products(x, at.risk * row_hazard(sets, terms, tail))
    return _less_outer_products(products, terms, at.s1, at.s1_events)


def _weighted_products(x: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """Cross product and sum of the rows, weighted, in pieces that stay in the cache."""
    k = x.shape[1]
    products, sums, buffer = np.zeros((k, k)), np.zeros(k), np.empty((_BLOCK, k))
    for begin in range(0, x.shape[0], _BLOCK):
        piece, factor = x[begin : begin + _BLOCK], expected[begin : begin + _BLOCK]
        weighted = np.multiply(piece, factor[:, None], out=buffer[: len(piece)])
        products += piece.T @ weighted
        sums += factor @ piece
    return products, sums


def _less_outer_products(products: Floats, terms: Floats, s1: Floats, s1_events: Floats) -> Floats:
    """Subtract the outer products of the mean covariates met at the slots."""
    information = products - s1.T @ (terms[:, 2:3] * s1 - terms[:, 3:4] * s1_events)
    information += s1_events.T @ (terms[:, 3:4] * s1 - terms[:, 4:5] * s1_events)
    return np.asarray((information + information.T) / 2)


def maximise(
    *,
    x: Floats,
    weight: Floats,
    sets: RiskSets,
    scale: Floats,
    efron: bool = True,
    frequency: bool = False,
    tail: Tail | None = None,
    initial: Floats | None = None,
    start: Evaluation | None = None,
    max_iterations: int = 60,
) -> Maximum:
    """Maximise the partial likelihood by Newton's method with step-halving.

    Parameters
    ----------
    x, weight, sets, efron, frequency, tail
        As for `evaluate`.
    scale : (k,) float64
        Standard deviations of the columns: the measure of what counts as a large step.
    initial : (k,) float64, optional
        Where to begin; zero by default.
    start : Evaluation, optional
        What `evaluate` gives at the beginning, if it is known already.
    max_iterations : int

    Returns
    -------
    Maximum

    Raises
    ------
    ModelError
        If a column is constant within the risk sets or a combination of others, or if there is no convergence.
    """

    def at(beta: Floats) -> Evaluation:
        # So far out that risks vanish there are no numbers, and the step that led there is halved.
        with np.errstate(invalid="ignore", over="ignore"):
            return evaluate(x=x, beta=beta, weight=weight, sets=sets, efron=efron, frequency=frequency, tail=tail)

    if start is None:
        start = at(np.zeros(x.shape[1]) if initial is None else initial)
    current = start
    for iteration in range(max_iterations):
        step = newton_step(current)
        decrement = float(current.gradient @ step)
        proposal = at(current.beta + step)
        halvings = 0
        slack = 1e-12 * (1 + abs(current.log_likelihood))
        while not proposal.log_likelihood >= current.log_likelihood - slack and halvings < 30:
            step, halvings = step / 2, halvings + 1
            proposal = at(current.beta + step)
        current = proposal
        if decrement < _DECREMENT:
            # A step this far with nothing gained is the mark of a likelihood that rises for ever.
            monotone = np.abs(step) * scale > 0.05
            return Maximum(at=current, start=start, iterations=iteration + 1, direction=step, monotone=monotone)
    raise ModelError(f"The Cox model did not converge in {max_iterations} Newton steps.")


def newton_step(current: Evaluation) -> Floats:
    """Solve information * step = gradient, scaled to a unit diagonal; a column without information stays.

    Raises
    ------
    ModelError
        If the information is no longer one, as where estimates have run away so far that only rounding is left of it.
    """
    diagonal = np.diag(current.information)
    most = np.abs(diagonal).max(initial=0.0)
    if not np.isfinite(current.information).all() or (diagonal < -_ROUNDING * most - _VANISHED).any():
        raise ModelError("The Cox model did not converge: its likelihood rises for ever (separation).")
    told = diagonal > 0
    root = np.sqrt(np.where(told, diagonal, 1.0))
    scaled = np.where(np.outer(told, told), current.information, 0.0) / np.outer(root, root)
    solution = np.linalg.lstsq(scaled, np.where(told, current.gradient, 0.0) / root, rcond=1e-13)[0]
    return np.asarray(solution / root)


def dependent_columns(information: Floats, events: float, scale: Floats) -> list[tuple[int, list[int]]]:
    """Columns without information of their own, each with the columns it is a combination of.

    Parameters
    ----------
    information : (k, k) float64
        At the initial value.
    events : float
        Total weight of the events: ``events * scale**2`` is about what an informative column would have.
    scale : (k,) float64

    Returns
    -------
    list of (int, list of int)
        The list of partners is empty for a column that is constant within the risk sets.
    """
    found: list[tuple[int, list[int]]] = []
    kept: list[int] = []
    for j in range(information.shape[0]):
        own = information[j, j]
        if not own > _COLLINEAR * events * scale[j] ** 2:
            found.append((j, []))
            continue
        root = np.sqrt(np.diag(information)[kept])
        inner = information[np.ix_(kept, kept)] / np.outer(root, root)
        cross = information[kept, j] / root / np.sqrt(own)
        solution = np.linalg.solve(inner, cross) if kept else np.zeros(0)
        if 1.0 - float(cross @ solution) < _COLLINEAR:
            partners = [kept[i] for i in np.flatnonzero(np.abs(solution) > 1e-6)]
            found.append((j, partners))
        else:
            kept.append(j)
    return found


def inverse_information(maximum: Maximum) -> Floats:
    """Inverse of the information; directions in which the likelihood is monotone are held fixed.

    Returns
    -------
    (k, k) float64
    """
    information = maximum.at.information
    diagonal = np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    scaled = information / np.outer(diagonal, diagonal)
    if not maximum.monotone.any():
        inverse = np.linalg.inv(scaled)
        return np.asarray((inverse + inverse.T) / 2 / np.outer(diagonal, diagonal))
    away = maximum.direction / np.linalg.norm(maximum.direction)
    basis = np.linalg.svd(away[None, :])[2][1:].T
    return np.asarray(basis @ np.linalg.pinv(basis.T @ information @ basis, rcond=1e-9, hermitian=True) @ basis.T)


def scores(
    *,
    x: Floats,
    weight: Floats,
    sets: RiskSets,
    at: Evaluation,
    code: Integers | None = None,
    groups: int = 0,
    tail: Tail | None = None,
) -> Floats:
    r"""Score residuals times case weight, by row or summed by code.

    Their sum is the gradient: zero at the maximum. Row i contributes
    :math:`w_i \delta_i (x_i - \bar x_g) - r_i \int (x_i - \bar x(t)) dH(t)`.

    Parameters
    ----------
    x, weight, sets, tail
        As for `evaluate`.
    at : Evaluation
    code : (n,) int64, optional
        Codes 0 .. groups - 1; without them, one result per row.

    Returns
    -------
    (n, k) or (groups, k) float64
    """
    from bipstudy.models import kernels

    n, k = x.shape
    aa, ac, cc = (at.terms[:, [i]] for i in (2, 3, 4))
    drift = aa * at.s1 - ac * at.s1_events
    event_mean = event_means(at)
    event_drift = ac * at.s1 - cc * at.s1_events
    own = np.zeros(n)
    own[sets.event_rows] = weight[sets.event_rows]
    out = np.zeros((n if code is None else groups, k))
    codes = np.arange(n, dtype=np.int64) if code is None else code
    cumulated = cumulate(drift, sets.last)[:-1]
    kernels.add_scores(x, at.risk, at.hazard, own, sets.top, sets.below, cumulated, event_mean, event_drift, codes, out)
    if tail is not None:
        lasting = (at.risk[tail.rows] * tail.inverse)[:, None] * _after(tail, drift)
        np.add.at(out, codes[tail.rows], lasting)
    return out


def event_means(at: Evaluation) -> Floats:
    """Mean covariates that the events of each slot meet, averaged over ties, shape (slots, k)."""
    total = at.event_weight[:, None]
    sums = at.terms[:, [0]] * at.s1 - at.terms[:, [1]] * at.s1_events
    return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
