"""Whether the questionnaire is sound: reliability, factors, agreement of respondents, response, missing answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import resampling
from bipstudy.analyses.common import CLUSTER, FlowBook, single_threaded
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, mean
from bipstudy.analyses.measurement_forms import Forms, answered_forms, form_estimates, form_tables, mode_estimates
from bipstudy.analyses.measurement_tables import (
    correlation_table,
    factor_table,
    figures_of,
    invariance_table,
    item_table,
    respondent_table,
)
from bipstudy.analyses.result import Result, Sentence
from bipstudy.panel.coding import Coded, code_study, take
from bipstudy.panel.occasions import pair_forms
from bipstudy.study import Study

NAME = "measurement"
OUTCOME = "questionnaire"
BELIEF = "caseworker_belief"
DRAWS = 100
MOST_FACTORS = 3
MEANS = ("mean_p", "mean_c")


@single_threaded
def measurement(study: Study) -> Result:
    """Answer whether the questionnaire is sound.

    Estimand: omega of the sum of the participant's answers and of the caseworker's answers to the same questions, and
    the intraclass correlation (absolute agreement) between the two respondents' mean answers. Population: first
    measurements; response and missing answers are counted over all forms. Danish finding: none published. Models: one
    common factor by maximum likelihood for omega, polychoric correlations, parallel analysis and minimum-residual
    factors, multi-group factor models over organisations, weighted kappa; errors by influence functions clustered by
    caseworker. Cannot show: whether the answers mean what they are meant to, whether they can be compared with Danish
    answers, or what those would have said who did not answer; forms that were never recorded are not counted as due.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Result
        Tables ``respondents, items, agreement, factors, correlations, invariance, response, modes, reasons``; figures
        ``eigenvalues, agreement``.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.measurement(bip.load_example())
    >>> result.primary()["contrast"].tolist()
    ['omega_participant', 'omega_caseworker', 'icc_between']
    """
    coded = code_study(study)
    book, first = _first(study, coded)
    shared, more = _items()
    names = {"participant": [f"p_{item}" for item in shared], "caseworker": [f"c_{item}" for item in shared]}
    scales = {who: _reliability(first, columns) for who, columns in names.items()}
    scales["caseworker_all"] = _reliability(first, [f"c_{item}" for item in more])
    found_factors = {who: _factors(first, columns) for who, columns in names.items()}
    forms = answered_forms(study, coded)
    rows = _reliability_rows(scales, first)
    rows += _between(first, shared)
    rows += [
        (Label(NAME, f"factors_{who}", "other", OUTCOME), _count(found_factors[who][0], len(first))) for who in names
    ]
    rows += form_estimates(forms, NAME)
    rows += mode_estimates(first, names["participant"], forms, NAME)
    found = estimates(rows)
    tables = _tables(first, names, (scales, found_factors), forms, found)
    return Result(
        name=NAME,
        estimates=found,
        tables=tables,
        figures=figures_of(found, {who: each[0] for who, each in found_factors.items()}),
        flow=book.finish("first_forms"),
        remarks=(
            Sentence("analyses.measurement.note_meaning"),
            Sentence("analyses.measurement.note_one_factor"),
            Sentence("analyses.measurement.note_agreement"),
            Sentence("analyses.measurement.note_factors"),
            Sentence("analyses.measurement.note_response"),
            Sentence("analyses.measurement.note_mode"),
        ),
    )


def primaries(study: Study) -> list[tuple[Label, Number]]:
    """Return the primary estimates and nothing else, for whoever needs them of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of (Label, Number)
    """
    first, shared = primary_sample(study)
    scales = {
        who: _reliability(first, [f"{who[0]}_{item}" for item in shared]) for who in ("participant", "caseworker")
    }
    rows = [(label, number) for label, number in _reliability_rows(scales, first) if label.role == "primary"]
    return [*rows, _icc(first, MEANS, "icc_between", "icc2", "primary")]


def primary_sample(study: Study) -> tuple[pd.DataFrame, list[str]]:
    """Return first measurements with the mean answer of each respondent, and the questions that both answer."""
    _, first = _first(study, code_study(study))
    shared, _ = _items()
    return _with_means(first, shared), shared


def _first(study: Study, coded: Coded) -> tuple[FlowBook, pd.DataFrame]:
    """Return the first measurement of each participant, answers turned so that more is readier."""
    occasions = pair_forms(study, coded)
    chosen = occasions.first
    person = occasions.person[chosen]
    items = schema.items()
    scores: dict[str, Any] = {}
    for column, values in occasions.scores.items():
        turned = items[column[2:]].direction != "higher_is_readier"
        scores[column] = 100.0 - values[chosen] if turned else values[chosen]
    everybody = pd.DataFrame({"participant": pd.Series(coded.labels, dtype=object)})
    book = FlowBook(NAME, [], everybody)
    book.begin("in_release")
    measured = np.zeros(len(everybody), dtype=bool)
    measured[person] = True
    kept = book.keep("no_form", measured)
    frame = pd.DataFrame(scores, index=person).sort_index()
    for who in ("p", "c"):
        for item in items.values():
            if f"{who}_{item.id}" not in frame and {"p": "participant", "c": "caseworker"}[who] in item.respondents:
                frame[f"{who}_{item.id}"] = np.nan
    caseworker = pd.Series(
        np.asarray(take(coded.caseworker_labels, occasions.form_caseworker[chosen]), dtype=object), index=person
    ).sort_index()
    frame = frame.assign(
        participant=kept["participant"].to_numpy(dtype=object),
        organisation=coded.participants["organisation_id"].to_numpy(dtype=object)[frame.index],
        person=frame.index,
    )
    frame[CLUSTER] = caseworker.where(caseworker.notna(), "none/" + frame["participant"])
    return book, frame.reset_index(drop=True)


def _items() -> tuple[list[str], list[str]]:
    """Return the items that both respondents answer, and those that caseworkers do, but for the belief."""
    asked = schema.items().values()
    shared = [item.id for item in asked if {"participant", "caseworker"} <= set(item.respondents)]
    return shared, [item.id for item in asked if "caseworker" in item.respondents and item.id != BELIEF]


def _reliability(first: pd.DataFrame, columns: list[str]) -> Any:
    """Return the reliability of a sum of answers; None where it cannot be estimated."""
    from bipstudy import models

    return attempt(lambda: models.reliability(first[[*columns, CLUSTER]], columns, cluster=CLUSTER))


def _reliability_rows(scales: Mapping[str, Any], first: pd.DataFrame) -> list[tuple[Label, Number]]:
    """Return omega and alpha of each sum."""
    rows, n = [], len(first)
    columns = {who: list(fit.item_table["item"]) for who, fit in scales.items() if fit is not None}
    labels = {who: first.loc[first[own].notna().all(axis=1), CLUSTER].to_numpy(object) for who, own in columns.items()}
    for term in ("omega", "alpha"):
        for who, fit in scales.items():
            role = "primary" if term == "omega" and who != "caseworker_all" else "secondary"
            number = Number(n=n)
            if fit is not None:
                influence = fit.influence.get(term) if role == "primary" else None
                number = _number(fit.tidy(), term, (fit.rows, fit.clusters), influence, labels[who])
            rows.append((Label(NAME, f"{term}_{who}", "other", OUTCOME, role=role), number))
    return rows


def _number(
    tidy: pd.DataFrame, term: str, counts: tuple[int, int | None], influence: Any = None, labels: Any = None
) -> Number:
    """Return one row of a table as a number, without a test against zero, which nobody doubts."""
    row = tidy.set_index("term").loc[term]
    estimate, error = float(row["estimate"]), float(row["std_error"])
    low, high = float(row["conf_low"]), float(row["conf_high"])
    resample = None if influence is None else resampling.of_rows(estimate, influence, labels)
    return Number(estimate, error, low, high, n=counts[0], clusters=counts[1], resample=resample)


def _count(solution: Any, n: int) -> Number:
    """Return a number of factors."""
    return Number(n=n) if solution is None else Number(float(solution.number_of_factors), n=solution.rows)


def _between(first: pd.DataFrame, shared: list[str]) -> list[tuple[Label, Number]]:
    """Return agreement of the respondents: of their mean answers, and item by item."""
    pairs = {"": MEANS} | {item: (f"p_{item}", f"c_{item}") for item in shared}
    frame = _with_means(first, shared)
    both = frame["mean_p"].notna() & frame["mean_c"].notna()
    rows = [_icc(frame, pairs[""], "icc_between", "icc2", "primary")]
    rows.append(_icc(frame, pairs[""], "icc_between_consistency", "icc3"))
    gap = (frame["mean_p"] - frame["mean_c"]).to_numpy(dtype=np.float64)
    spread = float(np.sqrt(0.5 * (frame.loc[both, "mean_p"].var() + frame.loc[both, "mean_c"].var())))
    difference = gap / spread if spread > 0 else np.full(len(gap), np.nan)
    number = mean(values=difference, clusters=frame[CLUSTER].to_numpy(dtype=object))
    rows.append((Label(NAME, "participant_less_caseworker", "sd", OUTCOME), _counted(number, len(frame))))
    for item in shared:
        rows.append(_icc(frame, pairs[item], "icc_item", "icc2"))
        rows.append(_kappa(frame, pairs[item], item))
    return rows


def _with_means(first: pd.DataFrame, shared: list[str]) -> pd.DataFrame:
    """Add the mean answer of each respondent."""
    return first.assign(
        **{f"mean_{who}": _mean_answer(first, [f"{who}_{item}" for item in shared]) for who in ("p", "c")}
    )


def _counted(number: Number, n: int) -> Number:
    """Return a number that says how many rows there were where it could not be made."""
    return number if number.n else Number(n=n)


def _mean_answer(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Return the mean of the answers of those who gave at least half of them."""
    values = frame[columns]
    return values.mean(axis=1).where(values.notna().sum(axis=1) >= len(columns) / 2)


def _icc(
    frame: pd.DataFrame, pair: tuple[str, str], contrast: str, term: str, role: str = "secondary"
) -> tuple[Label, Number]:
    """Return an intraclass correlation between two answers."""
    from bipstudy import models

    item = pair[0][2:] if contrast == "icc_item" else ""
    label = Label(NAME, contrast, "other", OUTCOME, item, role=role)
    used = frame[[*pair, CLUSTER]].dropna()
    if (used[list(pair)].nunique() < 2).any():
        return label, Number(n=len(frame))
    fit = attempt(lambda: models.intraclass_correlation(used, list(pair), cluster=CLUSTER))
    if fit is None:
        return label, Number(n=len(frame))
    counts = fit.rows, int(used[CLUSTER].nunique())
    influence = fit.influence[term] if role == "primary" else None
    return label, _number(fit.tidy(), term, counts, influence, used[CLUSTER].to_numpy(dtype=object))


def _kappa(frame: pd.DataFrame, pair: tuple[str, str], item: str) -> tuple[Label, Number]:
    """Return the weighted kappa of one item."""
    from bipstudy import models

    used = frame[[*pair, CLUSTER]].dropna()
    fit = attempt(lambda: models.weighted_kappa(used, *pair, cluster=CLUSTER))
    if fit is None:
        return Label(NAME, "kappa", "other", OUTCOME, item), Number(n=len(frame))
    number = _number(fit.tidy(), "kappa", (fit.rows, int(used[CLUSTER].nunique())))
    return Label(NAME, "kappa", "other", OUTCOME, item), number


def _factors(first: pd.DataFrame, columns: list[str]) -> tuple[Any, Any, Any]:
    """Return parallel analysis, the factors that it finds and the polychoric correlations; None where impossible."""
    from bipstudy import models

    answers = first[columns]
    parallel = attempt(lambda: models.parallel_analysis(answers, columns, draws=DRAWS))
    if parallel is None:
        return None, None, None
    number = min(max(parallel.number_of_factors, 1), MOST_FACTORS)
    correlations = attempt(lambda: models.polychoric(answers, columns))
    if correlations is None:
        return parallel, None, None
    solution = attempt(lambda: models.factor_analysis(answers, columns, factors=number, correlation=correlations))
    return parallel, solution, correlations


def _tables(
    first: pd.DataFrame, names: Mapping[str, list[str]], fits: tuple[Any, Any], forms: Forms, found: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return every table."""
    scales, factors = fits
    return {
        "respondents": respondent_table(found),
        "items": item_table(first, names, scales),
        "agreement": _agreement_table(found),
        "factors": factor_table({who: each[1] for who, each in factors.items()}, MOST_FACTORS),
        "correlations": correlation_table({who: each[2] for who, each in factors.items()}, names),
        "invariance": invariance_table(first, {who: (names[who], factors[who][1]) for who in names}),
        **form_tables(forms, found),
    }


def _agreement_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return agreement by item."""
    rows = []
    kappa = found[found["contrast"] == "kappa"].set_index("term")
    icc = found[found["contrast"] == "icc_item"].set_index("term")
    for item in kappa.index:
        cells: dict[str, Any] = {"item_key": f"item:{item}"}
        for name, row in (("kappa", kappa.loc[item]), ("icc", icc.loc[item])):
            cells |= {name: row["estimate"], f"{name}_low": row["conf_low"], f"{name}_high": row["conf_high"]}
        rows.append({**cells, "n": int(kappa.loc[item, "n"])})
    return pd.DataFrame(rows)
