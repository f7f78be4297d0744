"""Forms and answers: which were due and answered, which answers are missing, and how forms were answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.common import CLUSTER, formula
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy, share
from bipstudy.panel.coding import Coded
from bipstudy.study import Study

OUTCOME = "questionnaire"
RESPONDENTS = ("participant", "caseworker")
MODES = ("with_caseworker", "phone", "digital")


@dataclass(frozen=True)
class Forms:
    """Every recorded form.

    Attributes
    ----------
    frame : DataFrame
        ``participant`` (code), ``occasion, respondent, status, mode, asked, missing`` (numbers of items, of answered
        forms).
    missing : DataFrame
        ``respondent, item, asked, missing``: counts over answered forms.
    reasons : DataFrame
        ``respondent, reason, n``.
    """

    frame: pd.DataFrame
    missing: pd.DataFrame
    reasons: pd.DataFrame


def answered_forms(study: Study, coded: Coded) -> Forms:
    """Return the recorded forms of known participants.

    Parameters
    ----------
    study : Study
    coded : Coded

    Returns
    -------
    Forms
    """
    table = study.measurements
    person = coded.person["measurements"]
    known = person >= 0
    table, person = table[known], person[known]
    frame = pd.DataFrame(
        {
            "participant": person,
            "occasion": table["occasion"].to_numpy(dtype=np.int64),
            "respondent": table["respondent"].to_numpy(dtype=object),
            "status": table["form_status"].to_numpy(dtype=object),
            "mode": table["mode"].to_numpy(dtype=object) if "mode" in table else np.full(len(table), None),
        }
    )
    asked, lacking, counts = _answers(table, frame)
    frame = frame.assign(asked=asked, missing=lacking)
    return Forms(frame, counts, _reasons(study, frame))


def _answers(
    table: pd.DataFrame, frame: pd.DataFrame
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], pd.DataFrame]:
    """Return how many items each answered form asked and lacks, and the same by respondent and item."""
    asked, lacking = np.zeros(len(table), dtype=np.int64), np.zeros(len(table), dtype=np.int64)
    instruments = table["instrument"].to_numpy(dtype=object)
    counts: dict[tuple[str, str], list[int]] = {}
    for name in sorted(set(instruments[pd.notna(instruments)])):
        for item in schema.instrument(name).items:
            for who in item.respondents:
                rows = (instruments == name) & (frame["respondent"] == who) & (frame["status"] == "answered")
                places = np.flatnonzero(rows.to_numpy(dtype=bool))
                gone = table[item.id].isna().to_numpy()[places] if item.id in table else np.ones(len(places), bool)
                asked[places] += 1
                lacking[places] += gone
                both = counts.setdefault((who, item.id), [0, 0])
                both[0] += len(places)
                both[1] += int(gone.sum())
    rows = [(who, item, *both) for (who, item), both in counts.items()]
    return asked, lacking, pd.DataFrame(rows, columns=["respondent", "item", "asked", "missing"])


def _reasons(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """Return why answers are missing; what has no reason is the rest."""
    given = study.missing_answers
    rows = []
    for who in RESPONDENTS:
        own = given[given["respondent"] == who] if len(given) else given
        counts = own["reason"].value_counts() if len(own) else pd.Series(dtype="int64")
        rows += [
            (who, f"code:missing_reason:{reason}", int(counts.get(reason, 0)))
            for reason in schema.code_list("missing_reason").values
        ]
        total = int(frame.loc[frame["respondent"] == who, "missing"].sum())
        rows.append((who, "analyses.unknown", max(total - int(counts.sum()), 0)))
    return pd.DataFrame(rows, columns=["respondent", "reason_key", "n"])


def form_estimates(forms: Forms, name: str) -> list[tuple[Label, Number]]:
    """Return the shares of forms answered and paired, and of answers missing."""
    frame = forms.frame
    rows = []
    for who in RESPONDENTS:
        own = frame[frame["respondent"] == who]
        values = (own["status"] == "answered").to_numpy(dtype=np.float64)
        number = share(values=values, clusters=own["participant"].to_numpy())
        rows.append((Label(name, f"answered_{who}", "share", OUTCOME), _counted(number, len(frame))))
    answered = frame[frame["status"] == "answered"]
    occasions = answered.groupby(["participant", "occasion"])["respondent"].nunique().reset_index()
    number = share(
        values=(occasions["respondent"] > 1).to_numpy(dtype=np.float64), clusters=occasions["participant"].to_numpy()
    )
    rows.append((Label(name, "paired", "share", OUTCOME), _counted(number, len(frame))))
    for who in RESPONDENTS:
        own = answered[answered["respondent"] == who]
        repeated = np.repeat(own["participant"].to_numpy(), own["asked"])
        number = share(values=_ones(own), clusters=repeated)
        rows.append((Label(name, f"missing_{who}", "share", OUTCOME), _counted(number, len(frame))))
    return rows


def _ones(own: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return 1 for each missing answer and 0 for each given one, form by form."""
    both = np.column_stack([own["missing"], own["asked"] - own["missing"]]).ravel()
    return np.repeat(np.tile([1.0, 0.0], len(own)), both)


def _counted(number: Number, n: int) -> Number:
    """Return a number that says how many forms there were where it could not be made."""
    return number if number.n else Number(n=max(n, 1))


def mode_estimates(first: pd.DataFrame, columns: list[str], forms: Forms, name: str) -> list[tuple[Label, Number]]:
    """Return how participants' first answers differ by how the form was answered, against answering alone."""
    from bipstudy import models

    frame = first_modes(first, columns, forms)
    fit = None
    if (frame["mode"] == "alone").any() and frame["score"].std() > 0:
        dummies = {mode: (frame["mode"] == mode).astype(float) for mode in MODES}
        used = frame.assign(z=(frame["score"] - frame["score"].mean()) / frame["score"].std(), **dummies)
        fit = attempt(lambda: models.linear_probability(used, formula("z", MODES), cluster=CLUSTER))
    rows = []
    for mode in MODES:
        label = Label(name, f"mode_{mode}_vs_alone", "sd", OUTCOME)
        number = Number(n=max(len(first), 1))
        if fit is not None and mode in fit.terms:
            number = from_tidy(fit.tidy(), mode, fit)
        rows.append((label, number))
    return rows


def first_modes(first: pd.DataFrame, columns: list[str], forms: Forms) -> pd.DataFrame:
    """Return the mean answer of each participant's first form, and how it was answered.

    Parameters
    ----------
    first : DataFrame
        With ``person``, the code of the participant.
    columns : list of str
    forms : Forms

    Returns
    -------
    DataFrame
        ``score, mode`` and the cluster, of those who answered at least half of the items in a known way.
    """
    own = forms.frame[(forms.frame["respondent"] == "participant") & (forms.frame["status"] == "answered")]
    mode = own.sort_values("occasion", kind="stable").drop_duplicates("participant").set_index("participant")["mode"]
    values = first[columns]
    score = values.mean(axis=1).where(values.notna().sum(axis=1) >= len(columns) / 2)
    frame = pd.DataFrame({"score": score, "mode": first["person"].map(mode), CLUSTER: first[CLUSTER]})
    return frame[frame["score"].notna() & frame["mode"].isin(["alone", *MODES])].reset_index(drop=True)


def form_tables(forms: Forms, found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return response by status, modes, and reasons of missing answers."""
    frame = forms.frame
    response = []
    for who in RESPONDENTS:
        own = frame[frame["respondent"] == who]
        for status in schema.code_list("form_status").values:
            n = int((own["status"] == status).sum())
            response.append((f"code:respondent:{who}", f"code:form_status:{status}", n, n / max(len(own), 1)))
    reasons = forms.reasons.assign(respondent_key="code:respondent:" + forms.reasons["respondent"])
    total = reasons.groupby("respondent", sort=False)["n"].transform("sum")
    reasons = reasons.assign(share=reasons["n"] / total.where(total > 0, 1))
    return {
        "response": pd.DataFrame(response, columns=["respondent_key", "status_key", "n", "share"]),
        "modes": _modes(frame, found),
        "reasons": reasons[["respondent_key", "reason_key", "n", "share"]].reset_index(drop=True),
    }


def _modes(frame: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return participants' forms by how they were answered: missing answers, and the difference from alone."""
    own = frame[(frame["respondent"] == "participant") & (frame["status"] == "answered")]
    rows: list[dict[str, Any]] = []
    differences = found.set_index("contrast")
    for mode in schema.code_list("mode").values:
        part = own[own["mode"] == mode]
        if part.empty:
            continue
        key = f"mode_{mode}_vs_alone"
        row = differences.loc[key] if key in differences.index else None
        rows.append(
            {
                "mode_key": f"code:mode:{mode}",
                "n": len(part),
                "missing": float(part["missing"].sum() / part["asked"].sum()),
                "difference": np.nan if row is None else row["estimate"],
                "difference_low": np.nan if row is None else row["conf_low"],
                "difference_high": np.nan if row is None else row["conf_high"],
            }
        )
    columns = ["mode_key", "n", "missing", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns)
