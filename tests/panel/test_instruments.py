"""Answers of several questionnaires: raw as given, and 0-100 of the scale of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from panel_studies import make_study

from bipstudy import build_panel, schema

SHORT = {
    "name": "short",
    "label": {"sv": "Kort", "en": "Short"},
    "items": [
        {
            "id": "job_search",
            "label": {"sv": "Jobbsökningsbeteende", "en": "Job search behaviour"},
            "respondents": ["participant", "caseworker"],
            "scale": {"minimum": 0, "maximum": 10, "dont_know": 9},
            "direction": "higher_is_readier",
            "wording": {"sv": None, "en": None},
            "confirmed": {"name": True, "respondents": False, "scale": False, "wording": False},
        },
        {
            "id": "worry",
            "label": {"sv": "Oro", "en": "Worry"},
            "respondents": ["participant"],
            "scale": {"minimum": 1, "maximum": 5},
            "direction": "lower_is_readier",
            "wording": {"sv": None, "en": None},
            "confirmed": {"name": False, "respondents": False, "scale": False, "wording": False},
        },
    ],
}


@pytest.fixture
def _two_instruments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(SHORT, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("BIPSTUDY_INSTRUMENTS", str(tmp_path))
    schema.instruments.cache_clear()
    yield
    schema.instruments.cache_clear()


@pytest.mark.usefixtures("_two_instruments")
def test_each_answer_is_scaled_by_its_own_form() -> None:
    dates = ("2020-02-01", "2020-05-01", "2020-08-01", "2020-11-01")
    forms = [
        {"occasion": 1, "answered_on": dates[0], "job_search": 3},
        {"occasion": 2, "answered_on": dates[1], "job_search": 3, "instrument": "short", "worry": 5},
        {"occasion": 3, "answered_on": dates[2], "job_search": 9, "instrument": "short", "worry": 4},
        {"occasion": 4, "answered_on": dates[3], "job_search": 7, "cooperation": 2},
    ]
    panel = build_panel(make_study(measurements=forms))
    expected = [50.0, 30.0, np.nan, np.nan]
    assert np.array_equal(panel["p_job_search"], expected, equal_nan=True)
    assert np.array_equal(panel["p_job_search_raw"], [3, 3, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(panel["p_worry"], [np.nan, 100, 75, np.nan], equal_nan=True)
    assert "c_worry" not in panel
    assert "p_caseworker_belief" not in panel


@pytest.mark.usefixtures("_two_instruments")
def test_progress_on_an_item_where_less_is_readier_is_its_fall() -> None:
    people = [{"participant_id": "1"}, {"participant_id": "2"}]
    forms = [
        {"answered_on": "2020-02-01", "worry": 5, "instrument": "short"},
        {"occasion": 2, "answered_on": "2020-05-01", "worry": 3, "instrument": "short"},
        {"participant_id": "2", "answered_on": "2020-02-01", "worry": 1, "instrument": "short"},
    ]
    panel = build_panel(make_study(participants=people, measurements=forms))
    assert panel["p_worry_change"].iloc[0] < 0
    # From 100 to 50 in 90 days; the two first answers, 100 and 0, have a standard deviation of 100 over root two.
    assert panel["progression"].iloc[0] == pytest.approx(50 / (90 / (365.25 / 4)) / (100 / np.sqrt(2)))
