"""Which of the indicators go with reaching work or study, and with later job search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.common import (
    FlowBook,
    few_caseworkers,
    outcome_name,
    ready,
    single_threaded,
    whole_months,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, estimates
from bipstudy.analyses.indicators_count import count, expected
from bipstudy.analyses.indicators_models import (
    Difference,
    Indicator,
    Sample,
    asked,
    beside,
    deviations,
    linearity,
    of_caseworkers,
    one,
    sample_of,
    together,
    turned,
)
from bipstudy.analyses.indicators_search import job_search_rows
from bipstudy.analyses.indicators_tables import counts_table, expected_table, figures_of, items_table, more_table
from bipstudy.analyses.result import Result, Sentence
from bipstudy.panel import build_panel
from bipstudy.panel.checks import check_definition
from bipstudy.study import Study

NAME = "indicators"
FloatArray = npt.NDArray[np.float64]
Rows = list[tuple[Label, Number]]


@single_threaded
def indicators(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer which indicators go with reaching work or study, and with later job search.

    Estimand: difference in the standardised risk of a transition within the horizon, per standard deviation of the
    first answer (the participant's; the caseworker's for the items that only caseworkers answer), adjusted for
    background; which hold is judged by Holm's correction over the items. Population: first measurements that are
    followed from the wash-out on, for each item those who answered it. Danish finding: R1, met by the number of items
    that hold for work. Models: a logit per item with censoring weights, standardised over everybody who answered;
    errors clustered by caseworker (one row per participant). Beside it: unadjusted, all items together, the
    caseworker's answers, the two respondents' disagreement, the change since the occasion before (what is left of it
    when the first answer is held, so that regression to the mean is allowed for), ordered categories against a straight
    line, and the participant's own job search at the next measurement and over all of them (least squares). The count
    has a bootstrap interval over caseworkers (one step), and beside it stands the count expected here for common sizes
    of association. Limits and tests of the logits are normal, as those of every clustered model here that is not linear
    (Stata's convention), and those of least squares t with caseworkers less one degrees of freedom. With few
    caseworkers normal limits are too narrow: without any association they hold it in 85 per cent of studies with 6
    caseworkers of 30 participants, in 89 with 10, in 93 with 20 and in 94 with 40 (1,500 studies each); t would in 93,
    93, 94 and 95. A note says so where there are fewer than 40. Cannot show: whether an indicator brings about
    anything; and the number of items that hold grows with the study.

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
        Tables ``items`` (with Holm's p-values), ``counts``, ``expected`` and ``more`` (change, disagreement,
        linearity); figures ``risk_differences`` and ``expected``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.indicators(bip.load_example())
    >>> len(result.primary())
    11
    """
    check_definition(study, outcome)
    panel = build_panel(study, outcome=outcome, horizon_months=horizon_months, washout_days=washout_days)
    whole = ready(panel)
    book = FlowBook(NAME, panel.attrs["flow"], whole)
    first = book.keep("first_only", panel["first_measurement"])
    frame, background = with_background(first)
    sample = sample_of(frame, background)
    named = outcome_name(outcome), whole_months(horizon_months)
    work = ("work" if outcome == "primary" else f"{named[0]}:work", named[1])
    items = asked()
    found = {
        (called[0], each.item): one(sample, _answer(sample, each), response)
        for response, called in (("y", named), ("y_work", work))
        for each in items
    }
    book.keep("outcome_unknown", sample.known)
    rows = _alone(sample, items, found, (named, work))
    rows += _compared(sample, items, named)
    rows += _changed(whole, items, named)
    departures = {each.item: linearity(sample, _level(sample, each), "y") for each in items}
    rows += [
        (_label(each, "highest_vs_lowest_answer", named, "background"), departures[each.item].number) for each in items
    ]
    rows += job_search_rows(whole, frame, background, items, NAME)
    rows += [
        _count([found[called[0], each.item] for each in items], sample, called, benchmark)
        for called, benchmark in ((work, "R1" if outcome == "primary" else ""), (named, ""))
    ]
    made = estimates(rows)
    table = items_table(made, items, named[0])
    sizes = expected_table(expected([found[work[0], each.item] for each in items]), made, work[0])
    return Result(
        name=NAME,
        estimates=made,
        tables={
            "items": table,
            "counts": counts_table(made),
            "expected": sizes,
            "more": more_table(made, items, departures, named[0]),
        },
        figures=figures_of(table, sizes),
        flow=book.finish("known_rows"),
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.indicators.note_association"),
            Sentence("analyses.indicators.note_count", {"n": len(frame)}),
            Sentence("analyses.indicators.note_resamples"),
            Sentence("analyses.indicators.note_change"),
            Sentence("analyses.indicators.note_search"),
            Sentence("analyses.indicators.note_placeholders"),
            Sentence("analyses.indicators.note_missing"),
            *few_caseworkers(made, "analyses.indicators.note_few"),
        ),
    )


def primaries(study: Study, panel: pd.DataFrame | None = None) -> Rows:
    """Return the primary estimates and nothing else, for whoever needs them of many studies.

    Parameters
    ----------
    study : Study
    panel : DataFrame, optional
        The study's panel, if there is one already.

    Returns
    -------
    list of (Label, Number)
    """
    sample = primary_sample(build_panel(study) if panel is None else panel)
    named = outcome_name("primary"), 12
    return [
        (
            _label(each, f"per_sd_{each.respondent}", named, "background", "primary"),
            one(sample, _answer(sample, each), "y").number,
        )
        for each in asked()
    ]


def primary_sample(panel: pd.DataFrame) -> Sample:
    """Return the first measurements of a panel as the models take them."""
    first = ready(panel)[panel["first_measurement"].to_numpy()].reset_index(drop=True)
    return sample_of(*with_background(first))


def _label(
    indicator: Indicator,
    contrast: str,
    named: tuple[str, int | None],
    adjustment: str,
    role: str = "secondary",
) -> Label:
    """Return the label of the risk difference of one answer."""
    return Label(NAME, contrast, "risk_difference", named[0], indicator.item, named[1], adjustment, role)


def _answer(sample: Sample, each: Indicator) -> FloatArray:
    """Return an answer in standard deviations, more being readier."""
    return turned(sample.column(each.column), each.item)


def _level(sample: Sample, each: Indicator) -> FloatArray:
    """Return an answer as 0-100, more being readier."""
    values = sample.column(each.column)
    return values if schema.items()[each.item].direction == "higher_is_readier" else 100.0 - values


def _alone(
    sample: Sample,
    items: list[Indicator],
    found: dict[tuple[str, str], Difference],
    called: tuple[tuple[str, int | None], tuple[str, int | None]],
) -> Rows:
    """Return each answer alone, unadjusted, and with all the others; and the caseworker's answers."""
    named, work = called
    rows: Rows = []
    for each in items:
        contrast = f"per_sd_{each.respondent}"
        rows.append((_label(each, contrast, named, "background", "primary"), found[named[0], each.item].number))
        rows.append((_label(each, contrast, work, "background"), found[work[0], each.item].number))
        raw = one(sample, _answer(sample, each), "y", background=False).number
        rows.append((_label(each, contrast, named, "raw"), raw))
    joint = together(sample, [_answer(sample, each) for each in items], "y")
    for each, number in zip(items, joint, strict=True):
        rows.append((_label(each, f"per_sd_{each.respondent}", named, "background_indicators"), number))
    for each in of_caseworkers(items):
        number = one(sample, _answer(sample, each), "y").number
        rows.append((_label(each, "per_sd_caseworker", named, "background"), number))
    return rows


def _compared(sample: Sample, items: list[Indicator], named: tuple[str, int | None]) -> Rows:
    """Return the disagreement of the respondents: participant less caseworker, their mean held."""
    rows: Rows = []
    by_item = {each.item: each for each in items}
    for each in of_caseworkers(items):
        own, other = (_level(sample, who) for who in (by_item[each.item], each))
        gap, middle = deviations(own - other), deviations(own + other)
        rows.append((_label(each, "disagreement_per_sd", named, "background_mean"), beside(sample, gap, middle, "y")))
    return rows


def _changed(whole: pd.DataFrame, items: list[Indicator], named: tuple[str, int | None]) -> Rows:
    """Return the change since the occasion before, at each participant's second occasion, the first answer held."""
    later = whole[~whole["first_measurement"]].drop_duplicates("participant").reset_index(drop=True)
    frame, background = with_background(later)
    sample = sample_of(frame, background)
    rows: Rows = []
    for each in items:
        label = _label(each, f"change_per_sd_{each.respondent}", named, "background_first")
        column = f"{each.column}_change_before"
        if column not in frame:
            rows.append((label, Number(n=max(len(frame), 1))))
            continue
        change = sample.column(column)
        # The answer before is held: who answered high then answers lower now by chance alone.
        before = whole.groupby("participant", sort=False)[each.column].shift(1)
        previous = before.loc[~whole["first_measurement"]]
        held = previous[~whole.loc[previous.index, "participant"].duplicated()].to_numpy(dtype=np.float64)
        number = beside(sample, turned(change, each.item), turned(held, each.item), "y")
        rows.append((label, number if number.n else Number(n=max(len(frame), 1))))
    return rows


def _count(
    found: list[Difference], sample: Sample, called: tuple[str, int | None], benchmark: str
) -> tuple[Label, Number]:
    """Return how many items hold after Holm's correction, with a positive association."""
    label = Label(
        NAME, "holding_after_correction", "other", called[0], "count", called[1], "background", "secondary", benchmark
    )
    return label, count(found, sample.labels)
