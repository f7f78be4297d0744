"""Small deliveries for the page, and a page that is served for a whole file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from steward_client import Page, ended, started, written

import bipstudy as bip

pytest.importorskip("starlette", reason="the extra `steward` is not installed")

PEOPLE = 25


@pytest.fixture(scope="session")
def tables() -> dict[str, pd.DataFrame]:
    """Participants and forms of one organisation, with nothing wrong."""
    study = bip.load_example()
    people = study.participants.head(PEOPLE)
    forms = study.measurements[study.measurements["organisation_id"] == people["organisation_id"].iloc[0]]
    return {
        "deltagare": _plain(people),
        "formulär": _plain(forms[forms["participant_id"].isin(people["participant_id"])]),
    }


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as a file holds it, with dates as text."""
    dates = {name: frame[name].dt.strftime("%Y-%m-%d") for name in frame.select_dtypes("datetime")}
    return frame.assign(**dates).astype(object)


@pytest.fixture(scope="session")
def good(tables: dict[str, pd.DataFrame]) -> dict[str, bytes]:
    """A delivery that is accepted."""
    return written(tables)


@pytest.fixture(scope="session")
def spoilt(tables: dict[str, pd.DataFrame]) -> dict[str, bytes]:
    """A delivery with three mistakes: codes that there are not, on rows 4 and 9, and a date that is none, on row 6."""
    return written(tables | {"deltagare": _spoilt(tables)})


@pytest.fixture(scope="session")
def half_mended(tables: dict[str, pd.DataFrame]) -> dict[str, bytes]:
    """The spoilt delivery with row 4 mended, row 3 removed, so that all rows move, and a new mistake on row 12."""
    people = _spoilt(tables)
    people.iloc[2, people.columns.get_loc("sex")] = "woman"
    people.iloc[11, people.columns.get_loc("age_group")] = "SENTINEL77"
    gone = people.iloc[1]["participant_id"]
    forms = tables["formulär"]
    return written({"deltagare": people.drop(people.index[1]), "formulär": forms[forms["participant_id"] != gone]})


def _spoilt(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the participants with mistakes; row 2 of a file is the first person."""
    people = tables["deltagare"].copy()
    people.iloc[2, people.columns.get_loc("sex")] = "SENTINEL88"
    people.iloc[7, people.columns.get_loc("sex")] = "SENTINEL88"
    people.iloc[4, people.columns.get_loc("observed_until")] = "2016-13-45"
    return people


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that is served while the tests of a file run."""
    folder = tmp_path_factory.mktemp("served")
    page = started(folder)
    yield page
    page.process.terminate()
    ended(page)


@pytest.fixture
def page(served: Page) -> Page:
    """A visit of one's own."""
    return served.visit()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Page]:
    """A page that is served for one test, with its temporary files in `tmp_path`."""
    page = started(tmp_path)
    yield page
    if page.process.poll() is None:
        page.process.kill()
        page.process.communicate()
