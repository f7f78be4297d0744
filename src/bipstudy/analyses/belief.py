"""The caseworker's belief and the transition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses.belief_answers import answer_shares, by_answer, by_published_answer
from bipstudy.analyses.belief_context import Context, by_past_success, goes_with, spread
from bipstudy.analyses.belief_contrasts import (
    MAIN,
    RUNGS,
    Common,
    Rows,
    common_sample,
    contrast_table,
    contrasts,
    ladder_table,
    rung,
    sensitivity,
)
from bipstudy.analyses.belief_figures import figures
from bipstudy.analyses.common import BACKGROUND, FlowBook, outcome_name, ready, single_threaded, whole_months
from bipstudy.analyses.estimating import Number, estimates
from bipstudy.analyses.result import Result, Sentence
from bipstudy.panel import answer_columns, build_panel, first_measurements
from bipstudy.panel.assembly import parts_kept
from bipstudy.panel.checks import check_definition
from bipstudy.study import Study

NAME = "belief"
# Contrasts of the answer -> the risk each starts from.
ANSWERS = (
    ("belief_top_vs_bottom", "belief_bottom_two"),
    ("belief_optimistic_vs_pessimistic", "belief_optimistic_vs_pessimistic_from"),
    ("belief_one_step", "belief_one_step_from"),
    ("belief_per_sd", "belief_per_sd_from"),
    ("belief_within_caseworkers", "belief_within_caseworkers_from"),
    ("belief_between_caseworkers", "belief_between_caseworkers_from"),
)
_COMPARED = (
    "participant", "unit_id", "caseworker", "answering_caseworker", "quarter", "entered_on", "first_measurement",
    "answered_from", "answered_on", "belief", "optimism", "cause", "y", "y_known", "ipcw",
)  # fmt: skip
OPTIMISM = ((design.MEDIAN, "optimism_below_median"), (design.PER_SD, "optimism_mean"))


@single_threaded
def belief(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer whether the caseworker's belief that the person gets a job goes with reaching work or study.

    Estimand: ratio of the standardised risks of a transition within the horizon, the two highest against the two lowest
    answers of the caseworker at the first measurement, adjusted for background and the participant's own answers.
    Beside it the reduced form of optimism: the relative risk by what the caseworker answered about other participants
    measured earlier, among participants of the same unit and quarter of entry. Population: first measurements with a
    belief answer and at least one answer of the participant, followed from the wash-out on, the same on every rung
    (unadjusted, background, own answers, the caseworker's other answers, unit); for optimism, those whose caseworker
    had answered about at least five others. Danish findings: R5a (unadjusted shares in work by answer), R5b and R6 as
    published; R2a, R2b, R8 and R16 by optimism above against below the median, or per standard deviation. Models: logit
    with censoring weights, standardised; log-linear within cells; instrumental variables; linear models and random
    intercepts of the belief itself; errors clustered by caseworker. Cannot show: whether belief brings about work. The
    answer is a forecast, and optimism is as good as drawn by lot only if caseworkers are, within unit and quarter.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float
    washout_days : int

    Returns
    -------
    Result
        Tables ``by_answer, ladder, contrasts, sensitivity, optimism, instrument, balance, goes_with, variance``;
        figures ``by_answer, ladder, contrasts, optimism, balance``; flows ``belief`` and ``belief_optimism``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.belief(bip.load_example()).primary()["scale"].tolist()
    ['risk_ratio']
    """
    check_definition(study, outcome)
    with parts_kept():
        panel = build_panel(study, outcome=outcome, horizon_months=horizon_months, washout_days=washout_days)
        first = design.with_optimism(first_measurements(study, outcome))
    steps, rows_of_panel = panel.attrs["flow"], ready(panel)
    own = [column for column, who, _ in answer_columns() if who == "participant" and column in rows_of_panel]
    asked = _Asked(outcome_name(outcome), outcome == "primary", whole_months(horizon_months))

    book = FlowBook(NAME, steps, rows_of_panel)
    answered, sample = _common(book, rows_of_panel, first, own)
    rows = by_published_answer(answered, asked.work, asked.months, asked.published) + answer_shares(answered)
    rows += _answers(sample, asked)

    compared = design.compared(rows_of_panel, steps, first, own)
    optimism = _by_optimism(compared, asked)
    context = goes_with(study, rows_of_panel, own)
    rows += optimism.rows + context.rows + spread(rows_of_panel, first) + [by_past_success(first, own)]
    found = estimates(rows)
    book.keep("outcome_unknown", sample.frame["y_known"])
    compared.book.keep("outcome_unknown_optimism", compared.frame["y_known"])
    tables = {
        "by_answer": by_answer(answered),
        "ladder": ladder_table(found),
        "contrasts": contrast_table(found, ANSWERS, MAIN),
        "sensitivity": _few(found, ("belief_e_value", "belief_e_value_limit", "belief_oster_delta")),
        **_optimism_tables(found, optimism, compared),
        "goes_with": _goes_with(found, context),
        "variance": _variance(found),
    }
    return Result(
        name=NAME,
        estimates=found,
        tables=tables,
        figures=figures(found, tables, asked.named, answered, horizon_months),
        flow=pd.concat([book.finish("known_rows"), compared.book.finish("known_rows_optimism")], ignore_index=True),
        settings={"months": horizon_months, "days": washout_days},
        remarks=_remarks(study, found),
    )


def _common(book: FlowBook, panel: pd.DataFrame, first: pd.DataFrame, own: list[str]) -> tuple[pd.DataFrame, Common]:
    """Return the first measurements with a belief answer, and the common sample of every rung."""
    book.keep("first_only", panel["first_measurement"])
    answered = book.keep_missing("no_belief", "belief")
    usable = book.keep("no_own_answers", answered[own].notna().any(axis=1))
    instruments = first.set_index("participant")["instrument"]
    used = usable.assign(instrument=usable["participant"].map(instruments).astype(object).to_numpy())
    return answered, common_sample(used, own)


def primaries(study: Study, panel: pd.DataFrame | None = None) -> Rows:
    """Return the primary estimate, and what optimism goes with, for whoever needs them of many studies.

    Parameters
    ----------
    study : Study
    panel : DataFrame, optional
        The study's panel, if there is one already.

    Returns
    -------
    list of (Label, Number)
        The primary estimate; the relative risks by optimism above against below the median, those that R2a and R2b are
        held against; and Anderson and Rubin's interval with the p-value of no association.
    """
    panel = build_panel(study) if panel is None else panel
    sample, compared = primary_samples(study, panel)
    asked = _Asked(outcome_name("primary"), True, 12)
    reduced = [
        (design.main_label(called, 12), design.above_against_below(compared, response))
        for response, called in asked.outcomes
    ]
    through = design.instrumented(compared, "y", asked.named, 12)
    weak = [(label, number) for label, number in through.rows if label.contrast == "belief_iv_anderson_rubin"]
    return [*rung(sample, "y", asked.named, 12, MAIN, "primary")[:1], *reduced, *weak]


def primary_samples(study: Study, panel: pd.DataFrame) -> tuple[Common, design.Sample]:
    """Return the sample of the answer, with what each rung adjusts for, and that of optimism."""
    rows = ready(panel)
    first = design.with_optimism(first_measurements(study, "primary"))
    own = [column for column, who, _ in answer_columns() if who == "participant" and column in rows]
    _, sample = _common(FlowBook(NAME, panel.attrs["flow"], rows), rows, first, own)
    return sample, design.compared(rows, panel.attrs["flow"], first, own)


def headline(study: Study) -> Number:
    """Return the relative risk by optimism above against below the median, and nothing else.

    It is the estimate that R2a is held against, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Number
    """
    with parts_kept():
        panel, first = build_panel(study), first_measurements(study, "primary")
    own = [column for column, who, _ in answer_columns() if who == "participant" and column in panel]
    flow = panel.attrs["flow"]
    compared = design.compared(
        ready(_few_columns(panel, own)), flow, design.with_optimism(_few_columns(first, own)), own
    )
    return design.above_against_below(compared, "y")


def _few_columns(frame: pd.DataFrame, own: Sequence[str]) -> pd.DataFrame:
    """Return the columns that the comparison by optimism reads: to carry the others along takes most of its time."""
    read = {*_COMPARED, *BACKGROUND, *own}
    few = frame[[column for column in frame.columns if column in read]]
    few.attrs = {}
    return few


@dataclass(frozen=True)
class _Asked:
    """What was asked for: what the outcome is called, whether it is the Danish one, and the horizon."""

    named: str
    primary: bool
    months: int | None

    @property
    def work(self) -> str:
        """What the outcome of work alone is called."""
        return "work" if self.primary else f"{self.named}:work"

    @property
    def published(self) -> bool:
        """Whether the estimates meet the Danish findings, which are on twelve months."""
        return self.primary and self.months == 12

    @property
    def outcomes(self) -> tuple[tuple[str, str], ...]:
        """Columns of the outcomes, and what they are called."""
        return ("y", self.named), ("y_work", self.work)


def _answers(sample: Common, asked: _Asked) -> Rows:
    """Return the contrasts of the answer: rung by rung, on other scales, and how robust the primary one is."""
    rows: Rows = []
    for response, called in asked.outcomes:
        for name in RUNGS:
            main = "primary" if (response, name) == ("y", MAIN) else "secondary"
            rows += rung(sample, response, called, asked.months, name, main)
    rows += contrasts(sample, "y", asked.named, asked.months)
    return rows + sensitivity(sample, rows, "y", asked.named, asked.months)


@dataclass(frozen=True)
class _Optimism:
    """Estimates of the design of optimism, the strength of the instrument and the balance of each answer."""

    rows: Rows
    strength: pd.DataFrame
    balance: pd.DataFrame


def _by_optimism(compared: design.Sample, asked: _Asked) -> _Optimism:
    """Return the design of optimism: reduced form first, then balance, then what belief itself would go with."""
    rows = design.reduced_forms(compared, asked.outcomes, asked.months, asked.published)
    stage = design.first_stage(compared)
    label, joint, single = design.balance_of_answers(compared)
    through = design.instrumented(compared, "y", asked.named, asked.months)
    rows = [*rows, *design.corrected(rows, stage[1]), stage, (label, joint), *through.rows]
    return _Optimism(rows, through.strength, single)


def _few(found: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return some estimates by what they are called."""
    own = found[found["contrast"].isin(wanted)]
    keys = [f"analyses.contrast.{contrast}" for contrast in own["contrast"]]
    return pd.DataFrame({"what_key": keys, "value": own["estimate"].to_numpy(), "n": own["n"].to_numpy()})


def _optimism_tables(found: pd.DataFrame, optimism: _Optimism, compared: design.Sample) -> dict[str, pd.DataFrame]:
    """Return the reduced form, the strength of the instrument, and the balance of each answer."""
    own = found[found["term"].isin([design.EARLIER, design.ALL])]
    parts = []
    for term in (design.EARLIER, design.ALL):
        for adjustment in (design.ADJUSTED, design.CELLS):
            part = contrast_table(own[own["term"] == term], OPTIMISM, adjustment)
            part.insert(1, "others_key", f"analyses.others.{term}")
            part.insert(2, "adjustment_key", f"analyses.adjustment.{adjustment}")
            parts.append(part)
    strength = optimism.strength
    stage = found[found["contrast"] == "optimism_first_stage"].iloc[0]
    joint = found[found["contrast"] == "optimism_balance"].iloc[0]
    measures = {
        "index": float(len(compared.frame)),
        "caseworkers": float(compared.frame["answering_caseworker"].nunique()),
        "others": compared.others,
        "first_stage": float(stage["estimate"]),
        **{name: float(strength[name].iloc[0]) if len(strength) else float("nan") for name in
           ("f_statistic", "effective_f", "critical_10")},
        "balance": float(joint["estimate"]),
        "balance_p": float(joint["p_value"]),
    }  # fmt: skip
    instrument = pd.DataFrame(
        {"what_key": [f"analyses.instrument.{name}" for name in measures], "value": list(measures.values())}
    )
    return {
        "optimism": pd.concat(parts, ignore_index=True),
        "instrument": instrument.dropna(subset=["value"]).reset_index(drop=True),
        "balance": optimism.balance,
    }


def _goes_with(found: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Return what goes with belief, own past success among it."""
    row = found[found["contrast"] == "belief_with_past_success"].iloc[0]
    names = ["estimate", "conf_low", "conf_high", "p_value", "n"]
    past = pd.DataFrame([{"factor_key": "analyses.contrast.belief_with_past_success", **row[names].to_dict()}])
    return pd.concat([context.table, past], ignore_index=True).astype({"n": "int64"})


def _variance(found: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the variance of belief lies between caseworkers and over time."""
    own = found[found["contrast"].isin(["belief_between_caseworkers_share", "belief_over_time_share"])]
    keys = {f"{name}_key": [f"analyses.{name}.{value}" for value in own[name]] for name in ("contrast", "adjustment")}
    return pd.DataFrame({**keys, **{name: own[name].to_numpy() for name in ("estimate", "conf_low", "conf_high", "n")}})


def _remarks(study: Study, found: pd.DataFrame) -> tuple[Sentence, ...]:
    """Return what the analysis cannot show."""
    joint = found.loc[found["contrast"] == "optimism_balance", "p_value"].iloc[0]
    remarks = [Sentence("analyses.belief.note_forecast"), Sentence("analyses.belief.note_optimism")]
    if pd.isna(joint):
        remarks.append(Sentence("analyses.belief.note_balance_unknown"))
    elif joint < design.WARNS:
        remarks.append(Sentence("analyses.belief.note_balance_warns"))
    else:
        remarks.append(Sentence("analyses.belief.note_balance"))
    remarks += [
        Sentence(f"analyses.belief.note_{name}") for name in ("measured", "instrument", "confounder", "context")
    ]
    if study.participants["unit_id"].isna().all():
        remarks.append(Sentence("analyses.belief.note_no_units"))
    return (*remarks, Sentence("analyses.note_missing_answers"))
