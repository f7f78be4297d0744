"""The design of optimism: who is compared, reduced form first, instrument second, balance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import resampling
from bipstudy.analyses.common import FlowBook, formula, ready, standardised, with_answers, with_background
from bipstudy.analyses.estimating import Label, Number, Z, attempt, from_tidy
from bipstudy.analyses.leave_out import leave_out_groups
from bipstudy.analyses.optimism import Balance, balance, optimism_about_others
from bipstudy.analyses.within_cells import RelativeRisk, relative_risk
from bipstudy.models.tidy import critical_value
from bipstudy.panel import answer_columns

NAME = "belief"
CELLS, ADJUSTED = "unit_quarter", "unit_quarter_answers"
# Which others optimism is the mean of -> column.
EARLIER, ALL = "optimism", "optimism_all_others"
MEDIAN, PER_SD = "optimism_above_vs_below_median", "optimism_per_sd"
# Below this p-value the balance of optimism is called in question.
WARNS = 0.05

Rows = list[tuple[Label, Number]]


@dataclass(frozen=True)
class Sample:
    """The participants who are compared, ready for the models.

    Attributes
    ----------
    frame : DataFrame
        One row per participant with optimism: outcomes, covariates, ``z_optimism``, ``above`` and the same for all
        others, ``cell``, and ``answered`` (the participant gave an answer).
    everyone : DataFrame
        Also those whose caseworker's optimism cannot be computed.
    covariates, answers : list of str
        Background and own answers together, and own answers.
    book : FlowBook
    others : float
        Mean number of others behind optimism.
    """

    frame: pd.DataFrame
    everyone: pd.DataFrame
    covariates: list[str]
    answers: list[str]
    book: FlowBook
    others: float


def with_optimism(first: pd.DataFrame) -> pd.DataFrame:
    """Add the optimism of the caseworker about others to everybody's first measurement.

    Parameters
    ----------
    first : DataFrame
        From `bipstudy.panel.first_measurements`.

    Returns
    -------
    DataFrame
        With ``cell`` (unit and quarter of entry), ``belief_net`` (belief net of the participant's own answers and
        background), ``optimism``, ``optimism_all_others`` and ``others`` (how many earlier ones).
    """
    frame, background = with_background(ready(first))
    own = [column for column, respondent, _ in answer_columns() if respondent == "participant" and column in frame]
    frame, answers = with_answers(frame, own, "own")
    cell = cells(frame)
    net = _net(frame, [*background, *answers], cell, frame[own].notna().any(axis=1).to_numpy())
    days = {
        name: frame[column].to_numpy(dtype="datetime64[D]").astype(np.int64)
        for name, column in (("first_day", "answered_from"), ("last_day", "answered_on"))
    }
    caseworker = pd.factorize(frame["answering_caseworker"], sort=True)[0].astype(np.int64)
    given = {"residual": net, "caseworker": caseworker, "cell": cell, **days}
    before, every = optimism_about_others(**given), optimism_about_others(**given, earlier=False)
    return first.assign(cell=cell, belief_net=net, others=before.others, **{EARLIER: before.mean, ALL: every.mean})


def cells(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the code of unit and quarter of entry; who has no unit stands with the organisation's others without."""
    month = frame["entered_on"].to_numpy(dtype="datetime64[M]").astype(np.int64)
    unit = frame["organisation_id"].astype(object) + "/" + frame["unit_id"].astype(object).fillna("")
    codes = pd.factorize(unit, sort=True)[0].astype(np.int64)
    _, place = np.unique(codes * 100_000 + month // 3, return_inverse=True)
    return place.astype(np.int64)


def _net(
    frame: pd.DataFrame, covariates: Sequence[str], cell: npt.NDArray[np.int64], answered: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return belief less what own answers and background predict within cells, NaN without belief or own answers."""
    from bipstudy.models.absorb import absorb

    belief = frame["belief"].to_numpy(dtype=np.float64)
    used = ~np.isnan(belief) & answered & frame["answering_caseworker"].notna().to_numpy()
    net = np.full(len(frame), np.nan)
    if used.sum() < 2:
        return net
    matrix = frame.loc[used, [*covariates]].to_numpy(dtype=np.float64)
    within = absorb(np.column_stack([belief[used], matrix]), [np.unique(cell[used], return_inverse=True)[1]]).columns
    slopes = np.linalg.lstsq(within[:, 1:], within[:, 0], rcond=1e-9)[0]
    net[used] = belief[used] - matrix @ slopes
    return net


def compared(panel: pd.DataFrame, flow: Any, first: pd.DataFrame, own: Sequence[str]) -> Sample:
    """Return the participants whose caseworker's optimism can be computed.

    Parameters
    ----------
    panel : DataFrame
        All rows of the panel, from `ready`.
    flow : iterable of mapping
        Flow of the panel.
    first : DataFrame
        From `with_optimism`.
    own : sequence of str
        The participant's own answers.
    """
    added = panel[["participant", "first_measurement"]].merge(
        first[["participant", "cell", "belief_net", "others", EARLIER, ALL]], how="left", on="participant"
    )
    book = FlowBook(
        "belief_optimism",
        flow,
        panel.drop(columns=["optimism"]).assign(
            **{name: added[name].to_numpy() for name in ("cell", "belief_net", "others", EARLIER, ALL)}
        ),
    )
    book.keep("first_only", panel["first_measurement"])
    everyone = book.keep_missing("no_answering_caseworker", "answering_caseworker")
    frame, background = with_background(book.keep_missing("few_others", EARLIER))
    frame, answers = with_answers(frame, own, "own")
    frame = frame.assign(answered=frame[list(own)].notna().any(axis=1))
    others = float(frame["others"].mean()) if len(frame) else math.nan
    return Sample(_scaled(frame), _scaled(everyone), [*background, *answers], answers, book, others)


def _scaled(frame: pd.DataFrame) -> pd.DataFrame:
    """Add optimism and belief in standard deviations, and who is above the median."""
    columns: dict[str, Any] = {}
    for name, source in (("z_optimism", EARLIER), ("z_all_others", ALL), ("z_belief", "belief")):
        values = standardised(frame[source].to_numpy(dtype=np.float64))
        columns[name] = np.full(len(frame), np.nan) if values is None else values
    for name, source in (("above", EARLIER), ("above_all_others", ALL)):
        values = frame[source].to_numpy(dtype=np.float64)
        given = values[~np.isnan(values)]
        columns[name] = (values > (np.median(given) if len(given) else math.nan)).astype(np.float64)
    return frame.assign(**columns)


def reduced_forms(sample: Sample, outcomes: Sequence[tuple[str, str]], months: int | None, published: bool) -> Rows:
    """Return relative risks and differences by optimism, for each outcome (column and name).

    Per standard deviation and above against below the median; earlier others and all others; within cells alone and
    with background and own answers. `published` says whether the outcomes are those of the Danish findings.
    """
    rows: Rows = []
    meets = {"work_or_study": {MEDIAN: "R2a"}, "work": {MEDIAN: "R2b", PER_SD: "R16"}} if published else {}
    for response, outcome in outcomes:
        for term, columns in ((EARLIER, ("z_optimism", "above")), (ALL, ("z_all_others", "above_all_others"))):
            for adjustment in (CELLS, ADJUSTED):
                used = sample.covariates if adjustment == ADJUSTED else []
                for contrast, column in zip((PER_SD, MEDIAN), columns, strict=True):
                    main = (term, adjustment) == (EARLIER, ADJUSTED)
                    benchmark = meets.get(outcome, {}).get(contrast, "") if main else ""
                    label = Label(NAME, contrast, "risk_ratio", outcome, term, months, adjustment, benchmark=benchmark)
                    points = "R8" if published and main and (outcome, contrast) == ("work", MEDIAN) else ""
                    rows += _reduced_form(sample.frame, response, column, used, label, points)
    return rows


def main_label(outcome: str, months: int | None) -> Label:
    """Return the label of the relative risk that a Danish finding is held against."""
    benchmark = {"work_or_study": "R2a", "work": "R2b"}[outcome]
    return Label(NAME, MEDIAN, "risk_ratio", outcome, EARLIER, months, ADJUSTED, benchmark=benchmark)


def above_against_below(sample: Sample, response: str) -> Number:
    """Return the relative risk by optimism above against below the median, with background and own answers."""
    label = Label(NAME, MEDIAN, "risk_ratio", response, EARLIER, None, ADJUSTED)
    return _reduced_form(sample.frame, response, "above", sample.covariates, label, "")[0][1]


def _reduced_form(
    frame: pd.DataFrame, response: str, column: str, covariates: Sequence[str], label: Label, points: str
) -> Rows:
    """Return ratio, difference and the risk it is set against, of one outcome and one measure of optimism."""
    known = frame[frame["y_known"].to_numpy(dtype=bool) & frame[column].notna().to_numpy()]
    found = attempt(
        lambda: relative_risk(
            outcome=known[response].to_numpy(dtype=np.float64),
            exposure=known[column].to_numpy(dtype=np.float64),
            covariates=known[list(covariates)].to_numpy(dtype=np.float64),
            cell=known["cell"].to_numpy(dtype=np.int64),
            weights=known["ipcw"].to_numpy(dtype=np.float64),
            cluster=_codes(known["answering_caseworker"]),
        )
    )
    difference = replace(label, scale="risk_difference", benchmark=points)
    low = "optimism_below_median" if label.contrast == MEDIAN else "optimism_mean"
    risk = replace(label, contrast=low, scale="risk", benchmark="")
    if found is None:
        return [(each, Number(n=len(known))) for each in (label, difference, risk)]
    share = float(np.average(known[column], weights=known["ipcw"])) if label.contrast == MEDIAN else None
    ratio = _number(math.exp(found.log_ratio), found, found.std_error, ratio=True)
    labels = np.unique(known["answering_caseworker"].to_numpy(dtype=object).astype(str)).tolist()
    drawn = resampling.of_draws(lambda draws: np.exp(found.log_ratio + (draws - 1.0) @ found.influence), labels)
    (of_difference, number), risk_row = _in_points(found, share, difference, risk)
    number = replace(number, resample=_drawn_in_points(drawn, found.risk, share))
    return [(label, replace(ratio, resample=drawn)), (of_difference, number), risk_row]


def _in_points(found: RelativeRisk, share: float | None, difference: Label, risk: Label) -> Rows:
    """Return the difference in risk that a relative risk means at the risk of the sample, and the risk it starts from.

    Above against below the median: the risks of the two halves that make the whole. Per standard deviation: from half
    of one below to half of one above the mean.
    """
    beta, error, whole = found.log_ratio, found.std_error, found.risk
    if share is None:
        base, value = whole, whole * 2 * math.sinh(beta / 2)
        slope = whole * math.cosh(beta / 2)
    else:
        whole_of = 1 - share + share * math.exp(beta)
        base, value = whole / whole_of, whole * math.expm1(beta) / whole_of
        slope = whole * math.exp(beta) / whole_of**2
    bare = Number(estimate=base, n=found.rows, events=found.events, clusters=found.clusters)
    return [(difference, _number(value, found, abs(slope) * error)), (risk, bare)]


def _drawn_in_points(
    drawn: resampling.Resample | None, whole: float, share: float | None
) -> resampling.Resample | None:
    """Return what gives the difference in risk in every resample, from its ratio, at the risk of the sample."""
    if drawn is None:
        return None

    def resample() -> npt.NDArray[np.float64] | None:
        ratio = drawn()
        if ratio is None:
            return None
        if share is None:
            return whole * (np.sqrt(ratio) - 1.0 / np.sqrt(ratio))
        return whole * (ratio - 1.0) / (1.0 - share + share * ratio)

    return resample


def _number(estimate: float, found: RelativeRisk, error: float, *, ratio: bool = False) -> Number:
    """Return an estimate with a normal interval; a ratio's on the log scale.

    The error is made so much larger that the normal interval is that of t with the degrees of freedom of the error.
    """
    error = error * float(critical_value(0.95, found.degrees)) / Z
    if ratio:
        low, high = (math.exp(found.log_ratio + sign * Z * error) for sign in (-1, 1))
        statistic = found.log_ratio / error if error > 0 else math.nan
    else:
        low, high = estimate - Z * error, estimate + Z * error
        statistic = estimate / error if error > 0 else math.nan
    p_value = math.erfc(abs(statistic) / math.sqrt(2))
    return Number(estimate, error, low, high, p_value, found.rows, found.events, found.clusters)


def corrected(rows: Rows, stage: Number) -> Rows:
    r"""Return the contrasts by optimism as they would be were optimism not measured by few answers.

    The slope of a participant's own belief on optimism, :math:`\pi`, is the share of the variance of optimism that
    lasts. For a normal trait the log ratio per standard deviation, or above against below the median, of the measured
    mean is :math:`\sqrt{\pi}` times that of the trait itself, and is divided by it; the error is that of the quotient.
    """
    found: Rows = []
    for label, number in rows:
        if label.scale != "risk_ratio" or (label.term, label.adjustment) != (EARLIER, ADJUSTED):
            continue
        own = replace(label, contrast=f"{label.contrast}_corrected", benchmark="")
        slope, spread = stage.estimate, stage.std_error
        if math.isnan(number.estimate) or not slope > 0 or slope < 2 * spread:
            found.append((own, Number(n=number.n)))
            continue
        beta = math.log(number.estimate)
        whole = RelativeRisk(beta / math.sqrt(slope), 0.0, math.nan, number.n, number.events or 0, number.clusters or 0)
        error = math.sqrt(number.std_error**2 / slope + (beta * spread) ** 2 / (4 * slope**3))
        found.append((own, _number(math.exp(whole.log_ratio), whole, error, ratio=True)))
    return found


def first_stage(sample: Sample) -> tuple[Label, Number]:
    """Return the slope of the participant's own belief, net of own answers and background, on optimism."""
    label = Label(NAME, "optimism_first_stage", "other", "belief_answer", EARLIER, None, ADJUSTED)
    return label, _within(sample.frame, "belief_net", EARLIER, [])


def balance_of_answers(sample: Sample) -> tuple[Label, Number, pd.DataFrame]:
    """Return the joint test of optimism on the participant's own first answers, and each answer by itself."""
    frame = sample.frame
    usable = frame[frame["answered"] & frame["z_optimism"].notna()]
    found: Balance = balance(
        exposure=usable["z_optimism"].to_numpy(dtype=np.float64),
        characteristics=usable[sample.answers].to_numpy(dtype=np.float64),
        cell=usable["cell"].to_numpy(dtype=np.int64),
        cluster=_codes(usable["answering_caseworker"]),
    )
    label = Label(NAME, "optimism_balance", "other", "own_answers", EARLIER, None, CELLS)
    number = Number(found.statistic, p_value=found.p_value, n=max(found.rows, 1), clusters=found.clusters)
    rows = []
    for column in sample.answers:
        if column == "own_missing":
            continue
        one = _within(usable, column, "z_optimism", [])
        item = column.removeprefix("own_p_")
        rows.append(
            {
                "item_key": f"item:{item}",
                "estimate": one.estimate,
                "conf_low": one.conf_low,
                "conf_high": one.conf_high,
                "p_value": one.p_value,
                "n": one.n,
            }
        )
    columns = ["item_key", "estimate", "conf_low", "conf_high", "p_value", "n"]
    return label, number, pd.DataFrame(rows, columns=columns)


def _within(frame: pd.DataFrame, response: str, exposure: str, covariates: Sequence[str]) -> Number:
    """Return the slope of a response on an exposure within cells, clustered by caseworker."""
    from bipstudy import models

    known = frame.loc[
        frame[[response, exposure]].notna().all(axis=1),
        [response, exposure, *covariates, "cell", "answering_caseworker"],
    ]
    fit = attempt(
        lambda: models.linear_probability(
            known, f"{formula(response, exposure, covariates)} | cell", cluster="answering_caseworker"
        )
    )
    if fit is None or exposure not in fit.terms:
        return Number(n=len(frame))
    return replace(from_tidy(fit.tidy(), exposure, fit), events=None)


@dataclass(frozen=True)
class Instrumented:
    """What belief itself goes with, if optimism acted through it alone.

    Attributes
    ----------
    rows : list of (Label, Number)
    strength : DataFrame
        One row per instrument: ``f_statistic, effective_f, critical_10``; empty where there is none.
    """

    rows: Rows
    strength: pd.DataFrame


def instrumented(sample: Sample, response: str, outcome: str, months: int | None) -> Instrumented:
    """Return the difference in risk per standard deviation of belief, by optimism and by caseworkers' indicators.

    Two-stage least squares with optimism about earlier others, Anderson and Rubin's interval, and UJIVE with the
    indicators of caseworkers among all who have a belief answer.
    """
    from bipstudy import models

    labels = {
        name: Label(NAME, f"belief_iv_{name}", "risk_difference", outcome, "belief", months, ADJUSTED)
        for name in ("2sls", "anderson_rubin", "ujive")
    }
    used = [*sample.covariates]
    known = sample.frame[sample.frame["y_known"].to_numpy(dtype=bool) & sample.frame["z_belief"].notna().to_numpy()]
    settings: dict[str, Any] = {"weights": "ipcw", "cluster": "answering_caseworker"}
    fit = attempt(
        lambda: models.instrumental(
            known[[response, "z_belief", "z_optimism", "cell", "ipcw", "answering_caseworker", *used]],
            f"{formula(response, used)} | cell | z_belief ~ z_optimism",
            **settings,
        )
    )
    nothing = Number(n=max(len(known), len(sample.frame)))
    numbers = dict.fromkeys(labels, nothing)
    strength = pd.DataFrame()
    if fit is not None:
        numbers["2sls"] = replace(from_tidy(fit.tidy(), "z_belief", fit), events=None)
        strength = fit.first_stage()
        numbers["anderson_rubin"] = _anderson_rubin(fit, numbers["2sls"])
    numbers["ujive"] = _ujive(sample.everyone, response) or nothing
    return Instrumented([(labels[name], numbers[name]) for name in labels], strength)


def _anderson_rubin(fit: Any, wald: Number) -> Number:
    """Return the estimate with Anderson and Rubin's interval; without ends where it is no bounded interval."""
    parts = attempt(fit.anderson_rubin_interval)
    test = attempt(fit.anderson_rubin_test)
    p_value = math.nan if test is None else float(test["p_value"].iloc[0])
    number = replace(wald, std_error=math.nan, conf_low=math.nan, conf_high=math.nan, p_value=p_value)
    if parts is None or len(parts) != 1 or not np.isfinite(parts[["conf_low", "conf_high"]].to_numpy()).all():
        return number
    return replace(number, conf_low=float(parts["conf_low"].iloc[0]), conf_high=float(parts["conf_high"].iloc[0]))


def _ujive(frame: pd.DataFrame, response: str) -> Number | None:
    """Return UJIVE with the indicators of caseworkers, cells absorbed, each participant left out."""
    usable = frame[["z_belief", "answering_caseworker"]].notna().all(axis=1).to_numpy()
    known = frame[frame["y_known"].to_numpy(dtype=bool) & usable]
    found = attempt(
        lambda: leave_out_groups(
            outcome=known[response].to_numpy(dtype=np.float64),
            treatment=known["z_belief"].to_numpy(dtype=np.float64),
            group=_codes(known["answering_caseworker"]),
            cell=np.unique(known["cell"], return_inverse=True)[1].astype(np.int64),
            weights=known["ipcw"].to_numpy(dtype=np.float64),
        )
    )
    if found is None:
        return None
    low, high = (found.estimate + sign * Z * found.std_error for sign in (-1, 1))
    p_value = math.erfc(abs(found.estimate) / found.std_error / math.sqrt(2)) if found.std_error > 0 else math.nan
    return Number(found.estimate, found.std_error, low, high, p_value, found.rows, None, found.groups)


def _codes(labels: pd.Series) -> npt.NDArray[np.int64]:
    """Return labels as numbers in their order."""
    codes: npt.NDArray[np.int64] = pd.factorize(labels, sort=True)[0].astype(np.int64)
    return codes
