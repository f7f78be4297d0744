"""Measures of the risk of re-identification against brute force, and how they are said."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bipstudy as bip
from bipstudy import schema
from bipstudy.texts import catalogue
from bipstudy.validation.risk import QUASI, Risk, compatible, risk

STUDY = bip.load_example()


def values(people, unknown):
    """Return the quasi-identifiers of each person as plain values; `unknown` makes a value of an unknown one."""
    rows = []
    for number, row in enumerate(people.to_dict("records")):
        entered = row["entered_on"]
        row["entered_on"] = None if pd.isna(entered) else (entered.year, entered.month)
        rows.append(
            tuple(
                unknown(number)
                if row[name] is None or pd.isna(row[name]) is True or row[name] == "unknown"
                else row[name]
                for name in QUASI
            )
        )
    return rows


@given(st.lists(st.tuples(*[st.integers(-1, 2)] * 3), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_an_unknown_value_may_be_any(rows):
    def may_be_same(one, other):
        return all(a == b or a < 0 or b < 0 for a, b in zip(one, other, strict=True))

    expected = [sum(may_be_same(row, other) for other in rows) for row in rows]
    assert compatible(np.array(rows)).tolist() == expected


def test_groups_by_brute_force():
    measures = risk(STUDY.tables)
    own = values(STUDY.participants, lambda _: "?")
    sizes = [own.count(row) for row in own]
    row = measures.classes.set_index("reading").loc["own"]
    assert row["smallest"] == min(sizes)
    for threshold in (2, 3, 5, 10):
        assert row[f"below_{threshold}"] == sum(size < threshold for size in sizes)
    assert row["expected"] == pytest.approx(np.mean([1 / size for size in sizes]), rel=1e-12)
    loose = values(STUDY.participants, lambda _: None)
    alike = [
        sum(all(a is None or b is None or a == b for a, b in zip(one, other, strict=True)) for other in loose)
        for one in loose
    ]
    row = measures.classes.set_index("reading").loc["any"]
    assert row["smallest"] == min(alike)
    assert row["below_3"] == sum(size < 3 for size in alike)
    assert row["below_2"] < measures.classes.loc[0, "below_2"]


def test_diversity_by_brute_force():
    # Fewer columns, so that groups of several people arise.
    people = STUDY.participants.assign(
        unit_id=None, birth_region=None, education=None, entered_on=pd.Timestamp("2024-01-01"), organisation_id="A"
    ).assign(participant_id=lambda frame: range(len(frame)))
    people = schema.conform("participants", people)
    measures = risk({"participants": people})
    groups = {}
    for key, ill in zip(values(people, lambda _: "?"), people["mental_ill_health"].astype(object), strict=True):
        groups.setdefault(key, []).append(None if pd.isna(ill) else bool(ill))
    found = measures.diversity.set_index("column").loc["mental_ill_health"]
    assert found["smallest"] == min(len(set(group)) for group in groups.values())
    alike = [group for group in groups.values() if len(set(group)) == 1 and group[0] is not None]
    assert found["revealed"] == sum(map(len, alike))
    assert found["revealed_in_groups"] == sum(len(group) for group in alike if len(group) > 1) > 0
    assert "outcome" not in set(measures.diversity["column"])


@pytest.mark.parametrize(("precision", "letters"), [("day", 10), ("month", 7)])
def test_sequences_of_dates_by_brute_force(precision, letters):
    days = {}
    for row in STUDY.measurements.itertuples():
        if pd.notna(row.answered_on):
            person = (row.organisation_id, row.participant_id)
            days.setdefault(person, set()).add(row.answered_on.isoformat()[:letters])
    written = [(person[0], tuple(sorted(each))) for person, each in days.items()]
    found = risk(STUDY.tables).sequences.set_index("precision").loc[precision]
    assert found["participants"] == len(written)
    assert found["unique"] == sum(written.count(each) == 1 for each in written)


def test_the_date_of_a_declined_form_tells_as_much_and_the_text_says_so():
    forms = STUDY.measurements
    declined = forms.assign(form_status=forms["form_status"].mask(forms["answered_on"].notna(), "declined"))
    measures = risk({**STUDY.tables, "measurements": declined})
    assert measures.sequences.equals(risk(STUDY.tables).sequences)
    for language, words in (("sv", "besvarade och avböjda formulär"), ("en", "answered and declined forms")):
        assert sum(words in about for about, _ in measures.rows(language)) == len(measures.sequences)
    assert "answered or declined" in " ".join(Risk.__doc__.split())


def test_the_measures_do_not_depend_on_order_or_ids():
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in STUDY.tables.items()}
    for frame in shuffled.values():
        if "participant_id" in frame:
            frame["participant_id"] = frame["participant_id"] + "x"
    assert risk(shuffled).as_dict() == risk(STUDY.tables).as_dict()
    assert risk({}) is None


def test_every_report_shows_the_measures():
    report = bip.validate(STUDY, language="sv")
    told = json.loads(report.to_json())
    assert told["direct_identifiers_found"] is False
    assert told["risk"]["participants"] == len(STUDY.participants)
    for language, sentence in (("sv", "Inga direkta identifierare hittades."), ("en", "No direct identifiers found.")):
        spoken = report.in_language(language)
        for words in (spoken.to_html(), spoken.summary()):
            assert sentence in words
        assert all(value in spoken.to_html() for _, value in spoken.risk.rows(language))


def test_with_an_identity_number_it_says_so():
    frames = {name: STUDY.tables[name] for name in ("participants", "measurements")}
    ids = frames["participants"]["participant_id"].astype(object)
    ids.iloc[0] = "19701063-2391"
    bad = bip.study.Study(
        tables=frames | {"participants": frames["participants"].assign(participant_id=ids.astype(schema.STRING))},
        sent=frozenset(frames),
    )
    report = bip.validate(bad, language="en")
    assert report.identifiers_found
    assert "No direct identifiers" not in report.summary()
    assert "Direct identifiers, or what may be such" in report.to_html()


def test_every_measure_has_words():
    measures = risk(STUDY.tables)
    for language, (words, value) in itertools.product(("sv", "en"), measures.rows("sv")):
        assert words
        assert value
        assert len(measures.rows(language)) == len(measures.rows("sv"))


def test_the_texts_never_call_data_anonymous():
    for forms in catalogue("risk").values():
        assert not any("anonym" in words.lower() for words in forms.values())
