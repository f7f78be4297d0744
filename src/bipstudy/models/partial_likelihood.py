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
import numpy.typing as npt

from bipstudy.models.estimates import ModelError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Rows are worked through in pieces that fit in the processor's cache.
_BLOCK = 8192
# The scaled information has ones on its diagonal; what is left of a column after the others is its 1 - R^2.
_COLLINEAR = 1e-10
# The Newton decrement is (distance to the maximum / standard error)^2: after a step taken at 1e-10 the distance is of
# the order 1e-10 standard errors, because convergence is quadratic.
_DECREMENT = 1e-10


@dataclass(frozen=True)
class RiskSets:
    """Which rows are at risk when: everything about times and strata, nothing about covariates or weights.

    Attributes
    ----------
    top, below : (n,) int64
        Row i is at risk in the slots ``below[i] + 1 .. top[i]``; -1 is before the first slot of its stratum.
    event_rows : (d,) int64
        The rows that end with an event; their slot is ``top``.
    last : (g,) bool
        The slot is the latest of its stratum.
    time : (g,) float64
        Time of the slot.
    stratum : (g,) int64
        Stratum of the slot.
    """

    top: Integers
    below: Integers
    event_rows: Integers
    last: Booleans
    time: Floats
    stratum: Integers

    @property
    def event(self) -> Booleans:
        """Whether a row ends with an event, shape (n,)."""
        mark = np.zeros(self.top.shape[0], dtype=np.bool_)
        mark[self.event_rows] = True
        return mark


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


def risk_sets(*, start: Floats | None, stop: Floats, event: Booleans, stratum: Integers | None = None) -> RiskSets:
    """Locate every row among the event times of its stratum.

    Parameters
    ----------
    start, stop : (n,) float64
        The row is under observation in ``(start, stop]``; without `start`, from before every time.
    event : (n,) bool
    stratum : (n,) int64, optional
        Codes 0, 1, ...

    Returns
    -------
    RiskSets
    """
    times = np.unique(stop[event])
    until = np.searchsorted(times, stop, side="right")
    since = np.zeros_like(until) if start is None else np.searchsorted(times, start, side="right")
    if stratum is None:
        top, below = until - 1, since - 1
        slot_time, slot_stratum = times, np.zeros(times.shape[0], dtype=np.int64)
    else:
        width = times.shape[0] + 1
        base = stratum * width
        keys = np.unique(base[event] + until[event] - 1)
        slot_time, slot_stratum = times[keys % width], keys // width
        # first[s] counts the slots of the strata before s.
        first = np.searchsorted(keys, np.arange(int(stratum.max(initial=0)) + 1) * width)
        before = first[stratum]
        top, below = (_count_below(keys, base + until) - 1, _count_below(keys, base + since) - 1)
        top[top < before], below[below < before] = -1, -1
    idle = top == below
    top[idle], below[idle] = -1, -1
    last = np.ones(slot_time.shape[0], dtype=np.bool_)
    last[:-1] = slot_stratum[1:] != slot_stratum[:-1]
    return RiskSets(
        top=np.ascontiguousarray(top, dtype=np.int64),
        below=np.ascontiguousarray(below, dtype=np.int64),
        event_rows=np.flatnonzero(event).astype(np.int64),
        last=last,
        time=slot_time,
        stratum=slot_stratum.astype(np.int64),
    )


def _count_below(keys: Integers, values: Integers) -> Integers:
    """How many of the sorted `keys` are below each value: by table where that is smaller than the data."""
    size = int(values.max(initial=0)) + 1
    if size <= 4 * values.shape[0]:
        table = np.searchsorted(keys, np.arange(size), side="left")
        return np.asarray(table[values], dtype=np.int64)
    return np.asarray(np.searchsorted(keys, values, side="left"), dtype=np.int64)


def slot_sums(slot: Integers, values: Floats, slots: int) -> Floats:
    """Sum `values` by slot, shape (slots,)."""
    return np.asarray(np.bincount(slot, weights=values, minlength=slots), dtype=np.float64)


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
    *, x: Floats, beta: Floats, weight: Floats, sets: RiskSets, efron: bool = True, frequency: bool = False
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
    count, total = event_totals(sets, weight, frequency=frequency)
    terms = np.empty((slots, 5))
    log_sum = kernels.tie_terms(s0, s0_events, count, total, efron, terms)
    event_weight = weight[sets.event_rows]
    log_likelihood = float(event_weight @ (predictor[sets.event_rows] - shift)) - log_sum
    hazard = _row_hazard(sets, terms)
    gradient, information = _derivatives(x, risk * hazard, sets.event_rows, event_weight)
    information -= s1.T @ (terms[:, 2:3] * s1 - terms[:, 3:4] * s1_events)
    information += s1_events.T @ (terms[:, 3:4] * s1 - terms[:, 4:5] * s1_events)
    return Evaluation(
        beta=beta,
        log_likelihood=log_likelihood,
        gradient=gradient,
        information=(information + information.T) / 2,
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


def cumulate(values: Floats, last: Booleans) -> Floats:
    """Cumulate over the slots of each stratum, with a final row of zeros that the index -1 finds."""
    total = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=total[:-1])
    ends = np.flatnonzero(last)[:-1]
    if ends.size:
        counts = np.diff(np.append(ends, values.shape[0] - 1))
        total[ends[0] + 1 : -1] -= np.repeat(total[ends], counts, axis=0)
    return total


def _row_hazard(sets: RiskSets, terms: Floats) -> Floats:
    """Hazard cumulated over each row, less what Efron's rule spares the tied events."""
    cumulated = cumulate(terms[:, 0], sets.last)
    hazard = cumulated[sets.top] - cumulated[sets.below]
    hazard[sets.event_rows] -= terms[sets.top[sets.event_rows], 1]
    return np.asarray(hazard)


def _derivatives(x: Floats, expected: Floats, event_rows: Integers, event_weight: Floats) -> tuple[Floats, Floats]:
    """Gradient, and the part of the information that is a weighted cross product of rows."""
    k = x.shape[1]
    gradient, information = np.zeros(k), np.zeros((k, k))
    for begin in range(0, x.shape[0], _BLOCK):
        piece = x[begin : begin + _BLOCK]
        weighted = piece * expected[begin : begin + _BLOCK, None]
        information += piece.T @ weighted
        gradient -= weighted.sum(axis=0)
    gradient += event_weight @ x[event_rows]
    return gradient, information


def maximise(
    *,
    x: Floats,
    weight: Floats,
    sets: RiskSets,
    scale: Floats,
    efron: bool = True,
    frequency: bool = False,
    initial: Floats | None = None,
    max_iterations: int = 60,
) -> Maximum:
    """Maximise the partial likelihood by Newton's method with step-halving.

    Parameters
    ----------
    x, weight, sets, efron, frequency
        As for `evaluate`.
    scale : (k,) float64
        Standard deviations of the columns: the measure of what counts as a large step.
    initial : (k,) float64, optional
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
        return evaluate(x=x, beta=beta, weight=weight, sets=sets, efron=efron, frequency=frequency)

    start = current = at(np.zeros(x.shape[1]) if initial is None else initial)
    for iteration in range(max_iterations):
        step = _newton_step(current)
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


def _newton_step(current: Evaluation) -> Floats:
    """Solve information * step = gradient, scaled to a unit diagonal."""
    diagonal = np.sqrt(np.maximum(np.diag(current.information), np.finfo(float).tiny))
    scaled = current.information / np.outer(diagonal, diagonal)
    solution = np.linalg.lstsq(scaled, current.gradient / diagonal, rcond=1e-13)[0]
    return np.asarray(solution / diagonal)


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
    *, x: Floats, weight: Floats, sets: RiskSets, at: Evaluation, code: Integers | None = None, groups: int = 0
) -> Floats:
    r"""Score residuals times case weight, by row or summed by code.

    Their sum is the gradient: zero at the maximum. Row i contributes
    :math:`w_i \delta_i (x_i - \bar x_g) - r_i \int (x_i - \bar x(t)) dH(t)`.

    Parameters
    ----------
    x, weight, sets
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
    a, c, aa, ac, cc = (at.terms[:, [i]] for i in range(5))
    drift = cumulate(aa * at.s1 - ac * at.s1_events, sets.last)[:-1]
    total = at.event_weight[:, None]
    event_mean = np.divide(a * at.s1 - c * at.s1_events, total, out=np.zeros_like(at.s1), where=total > 0)
    event_drift = ac * at.s1 - cc * at.s1_events
    own = np.zeros(n)
    own[sets.event_rows] = weight[sets.event_rows]
    out = np.zeros((n if code is None else groups, k))
    codes = np.arange(n, dtype=np.int64) if code is None else code
    kernels.add_scores(x, at.risk, at.hazard, own, sets.top, sets.below, drift, event_mean, event_drift, codes, out)
    return out
