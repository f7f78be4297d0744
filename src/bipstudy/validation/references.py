"""Rules on references: what a row names must exist."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bipstudy import schema
from bipstudy.validation.data import Data
from bipstudy.validation.rules import NOTHING, Outcome, at, check


@check
def unknown_organisation(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look up the organisation of each participant and caseworker."""
    return _references_to("organisations", "organisation_id", data)


@check
def unknown_participant(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look up the participant of each row."""
    return _references_to("participants", "participant_id", data)


@check
def unknown_caseworker(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look up the caseworker of each row that names one."""
    return _references_to("caseworkers", "caseworker_id", data)


@check
def unknown_form(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look up the form of each missing answer."""
    return _references_to("measurements", None, data)


@check
def unknown_instrument(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look up the questionnaire of each form."""
    named = data.distinct("measurements", "instrument")[0] >= 0
    unknown = named & ~data.holds("measurements", "instrument", *schema.instruments())
    values = {"known": ", ".join(schema.instruments())}
    return Outcome(int(named.sum()), at("measurements", "instrument", unknown, values=values))


@check
def unknown_item(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look up the item of each missing answer among those that the respondent is asked."""
    frame = data.tables["missing_answers"]
    unknown, checked = np.zeros(len(frame), dtype=bool), 0
    for name, instrument in schema.instruments().items():
        for respondent in schema.code_list("respondent").values:
            here = (frame["instrument"] == name) & (frame["respondent"] == respondent) & frame["item"].notna()
            unknown |= (here & ~frame["item"].isin(instrument.asked_of(respondent))).to_numpy(dtype=bool)
            checked += int(here.sum())
    return Outcome(checked, at("missing_answers", "item", unknown))


def _references_to(target: str, column: str | None, data: Data) -> Outcome:
    """Check every reference to a table; a row that names nothing is not checked."""
    outcome = NOTHING
    for name in data.tables:
        for reference in schema.table(name).references:
            if reference.table != target or any(part in data.absent[name] for part in reference.columns):
                continue
            named = np.logical_and.reduce([data.distinct(name, part)[0] >= 0 for part in reference.columns])
            unknown = named & (data.lookup(name, target, reference.columns) < 0)
            outcome += Outcome(int(named.sum()), at(name, column, unknown))
    return outcome
