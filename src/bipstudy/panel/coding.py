"""Ids as whole numbers: each participant and caseworker of a study gets a code, and every table speaks in codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.panel.days import Ints
from bipstudy.study import Study
from bipstudy.texts import BipstudyError


@dataclass(frozen=True)
class Coded:
    """The codes of one study.

    Attributes
    ----------
    participants : DataFrame
        The table of participants; a participant's code is the row.
    organisation : ndarray of int64, shape (participants,)
        Code of the participant's organisation.
    labels, caseworker_labels : ExtensionArray of str
        ``organisation/local id`` by code.
    person : dict of str to ndarray of int64
        Table to the participant's code on each row; -1 where the participant is unknown.
    caseworker : dict of str to ndarray of int64
        Table to the caseworker's code on each row; -1 where none is named.
    """

    participants: pd.DataFrame
    organisation: Ints
    labels: pd.api.extensions.ExtensionArray
    caseworker_labels: pd.api.extensions.ExtensionArray
    person: dict[str, Ints]
    caseworker: dict[str, Ints]

    @property
    def count(self) -> int:
        """Number of participants."""
        return len(self.participants)


def code_study(study: Study) -> Coded:
    """Give every participant and caseworker of a study a code.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Coded

    Raises
    ------
    BipstudyError
        Two participants or two caseworkers would carry the same ``organisation/local id``.
    """
    participants = study.participants
    organisations = pd.Index(participants["organisation_id"].unique())
    own_organisation = _positions(participants["organisation_id"], organisations)
    ids = pd.Index(participants["participant_id"].unique())
    own = own_organisation * len(ids) + _positions(participants["participant_id"], ids)
    order = np.argsort(own, kind="stable")
    person = {}
    for name in ("measurements", "assignments", "activities", "outcomes"):
        table = study.tables[name]
        organisation = _positions(table["organisation_id"], organisations)
        local = _positions(table["participant_id"], ids)
        person[name] = _find(
            own, order, np.where((organisation < 0) | (local < 0), -1, organisation * len(ids) + local)
        )
    caseworker, caseworker_labels = _code_caseworkers(study, organisations)
    return Coded(
        participants=participants,
        organisation=own_organisation,
        labels=_labels(participants["organisation_id"], participants["participant_id"], "participants"),
        caseworker_labels=caseworker_labels,
        person=person,
        caseworker=caseworker,
    )


def _code_caseworkers(
    study: Study, organisations: pd.Index
) -> tuple[dict[str, Ints], pd.api.extensions.ExtensionArray]:
    """Return the caseworker's code on each row of forms and assignments, and the label of each code."""
    tables = {name: study.tables[name] for name in ("measurements", "assignments")}
    ids = pd.Index(pd.concat([table["caseworker_id"] for table in tables.values()]).dropna().unique()).sort_values()
    wide = {}
    for name, table in tables.items():
        organisation = _positions(table["organisation_id"], organisations)
        local = _positions(table["caseworker_id"], ids)
        wide[name] = np.where((organisation < 0) | (local < 0), -1, organisation * len(ids) + local)
    known = np.unique(np.concatenate([codes[codes >= 0] for codes in wide.values()]))
    codes = {name: np.where(each < 0, -1, np.searchsorted(known, each)) for name, each in wide.items()}
    width = max(len(ids), 1)
    organisation_id = pd.Series(organisations.take(known // width), dtype=schema.STRING)
    caseworker_id = pd.Series(ids.take(known % width), dtype=schema.STRING)
    return codes, _labels(organisation_id, caseworker_id, "caseworkers")


def _positions(values: pd.Series, known: pd.Index) -> Ints:
    """Return the place of each value among the known ones, -1 if it is not there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow looks the text up where it stands; pandas would make a Python object of every cell first.
    places = pc.index_in(pa.array(values), value_set=pa.array(known))
    positions: npt.NDArray[np.int64] = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return positions


def _find(own: Ints, order: Ints, wanted: Ints) -> Ints:
    """Return the row of each wanted composite code, -1 if there is none."""
    if not len(own):
        return np.full(len(wanted), -1, dtype=np.int64)
    ordered = own[order]
    place = np.minimum(np.searchsorted(ordered, wanted), len(own) - 1)
    return np.where(ordered[place] == wanted, order[place], -1)


def _labels(organisation: pd.Series, local: pd.Series, table: str) -> pd.api.extensions.ExtensionArray:
    """Return ``organisation/local id``, after making sure that no two are the same."""
    labels = (organisation + "/" + local).astype(schema.STRING)
    if labels.duplicated().any():
        raise BipstudyError("panel.ambiguous_ids", table=table)
    return labels.array


def take(labels: pd.api.extensions.ExtensionArray, codes: Ints) -> pd.api.extensions.ExtensionArray:
    """Return the label of each code, missing where the code is -1."""
    if not len(labels):
        return pd.array([None] * len(codes), dtype=schema.STRING)
    return labels.take(codes, allow_fill=True)
