"""The quality of submissions over time, against counts made one form at a time, and its page."""

import json

import pandas as pd
import pytest
from pool_data import Verdict, submission, tables
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.pool import Pool, quality
from bipstudy.pool.quality import MEASURES, measured
from bipstudy.texts import BipstudyError

STUDY = bip.load_example()


def by_hand(forms):
    """Count the measures form by form."""
    found = dict.fromkeys([*MEASURES, *(f"{name}_of" for name in MEASURES)], 0)
    occasions = {}
    for form in forms.to_dict("records"):
        found["response_of"] += 1
        if form["form_status"] != "answered":
            continue
        found["response"] += 1
        for item in schema.instrument(form["instrument"]).items:
            if form["respondent"] in item.respondents:
                found["missing_of"] += 1
                found["missing"] += bool(pd.isna(form[item.id]))
        if form["answered_on_precision"] == form["due_on_precision"] == "day":
            found["late_of"] += 1
            found["late"] += (form["answered_on"] - form["due_on"]).days > 30
        key = form["organisation_id"], form["participant_id"], form["occasion"]
        occasions.setdefault(key, {})[form["respondent"]] = form["answered_on"]
    found["pairing_of"] = len(occasions)
    found["pairing"] = sum(
        len(days) == 2 and abs((days["participant"] - days["caseworker"]).days) <= 45 for days in occasions.values()
    )
    return found


def test_the_measures_by_hand():
    sums = measured(STUDY.tables).drop(columns="quarter").sum().to_dict()
    assert sums == by_hand(STUDY.measurements)
    assert all(sums[name] > 0 for name in ("response", "pairing", "missing", "late_of"))


@pytest.mark.parametrize(
    ("participant", "caseworker", "pairing"),
    [
        # 41 to 71 days, 0 to 31, 46 at least; and a form without a date.
        ("2024-03", "2024-01-20", (0, 0)),
        ("2024-01-20", "2024-03", (0, 0)),
        ("2024-01", "2024-02-01", (1, 1)),
        ("2024-01", "2024-02-15", (1, 1)),
        ("2024-01", "2024-02-16", (0, 0)),
        ("2024-Q1", "2024-02-01", (0, 0)),
        ("2024-03", "2024-01-15", (0, 1)),
        ("2024-03-01", "2024-01-16", (1, 1)),
        ("2024-03-01", "2024-01-15", (0, 1)),
        ("2024-03-01", None, (0, 0)),
        (None, "2024-03-01", (0, 0)),
    ],
)
def test_a_pair_whose_dates_cannot_tell_is_left_out(participant, caseworker, pairing):
    frames = tables(people=1)
    forms = frames["measurements"].set_index("respondent")
    for respondent, day in (("participant", participant), ("caseworker", caseworker)):
        first = None if day is None else pd.Timestamp(f"{day[:4]}-01-01" if "Q" in day else day)
        precision = None if day is None else "quarter" if "Q" in day else "month" if len(day) == 7 else "day"
        forms.loc[respondent, ["answered_on", "answered_on_precision"]] = [first, precision]
    sums = measured({"measurements": forms.reset_index()}).drop(columns="quarter").sum()
    assert (sums["pairing"], sums["pairing_of"]) == pairing
    # Without one of the forms, whatever its date, it is known that there is no pair.
    alone = measured({"measurements": forms.loc[["participant"]].reset_index()}).drop(columns="quarter").sum()
    assert (alone["pairing"], alone["pairing_of"]) == (0, 1)


def test_by_quarter_each_form_stands_once():
    counts = measured(STUDY.tables)
    day = STUDY.measurements["answered_on"].fillna(STUDY.measurements["due_on"])
    expected = [None if pd.isna(each) else f"{each.year}-Q{(each.month + 2) // 3}" for each in day]
    assert counts["quarter"].astype(object).where(counts["quarter"].notna(), None).tolist() == expected
    assert counts["pairing_of"].sum() == len(
        STUDY.measurements.query("form_status == 'answered'").drop_duplicates(
            ["organisation_id", "participant_id", "occasion"]
        )
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Return a pool in which the second submission is worse than the first."""
    folder = tmp_path_factory.mktemp("quality")
    pool = Pool(folder / "pool")
    pool.add(submission(folder / "a", tables()), Verdict())
    worse = tables(people=4)
    forms = worse["measurements"].copy()
    forms.loc[0, ["form_status", "answered_on", "answered_on_precision"]] = ["not_reached", None, None]
    forms.loc[0, list(schema.items())] = pd.NA
    forms.loc[1, "due_on"] = pd.Timestamp("2023-12-01")
    forms.loc[2, "job_search"] = pd.NA
    pool.add(submission(folder / "a2", worse | {"measurements": forms}), Verdict())
    pool.add(submission(folder / "b", tables("B")), Verdict())
    return pool


def test_each_submission_of_the_organisation_alone(pool):
    found = quality(pool, "A")
    assert found.submissions["sequence"].tolist() == [1, 2]
    assert found.submissions["participants"].tolist() == [3, 4]
    assert found.submissions["response"].tolist() == [6, 7]
    assert found.submissions["response_of"].tolist() == [6, 8]
    assert found.submissions["pairing"].tolist() == [3, 3]
    assert found.submissions["pairing_of"].tolist() == [3, 4]
    assert found.submissions["missing"].tolist()[0] == 0
    assert found.submissions["missing"].tolist()[1] > 0
    assert (found.submissions["late"].tolist(), found.submissions["late_of"].tolist()) == ([0, 1], [0, 1])
    assert found.undated == 1
    assert found.quarters["quarter"].tolist() == ["2024-Q1"]
    with pytest.raises(BipstudyError, match="no current submission"):
        quality(pool, "Z")


def test_the_page_is_self_contained_and_the_same_bytes(pool, tmp_path):
    found = quality(pool.path, "A")
    page = found.to_html(tmp_path / "q.html")
    assert page == quality(pool, "A").to_html()
    assert (tmp_path / "q.html").read_text("utf-8") == page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "88 % (7/8)" in page
    assert "Answered" in found.to_html(language="en")


def test_the_command(pool, tmp_path):
    out = tmp_path / "q.html"
    told = CliRunner().invoke(
        app, ["pool", "quality", str(pool.path), "--organisation", "A", "--out", str(out), "--json"]
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["undated"] == 1
    assert out.is_file()
    refused = CliRunner().invoke(app, ["pool", "quality", str(pool.path), "--organisation", "A", "--out", "q.pdf"])
    assert (refused.exit_code, ".html" in refused.stderr) == (2, True)
