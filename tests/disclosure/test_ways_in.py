"""Ways by which somebody outside could get at what is hidden, each of which was open once."""

import numpy as np
import pandas as pd
import pytest

from bipstudy.disclosure import Output, check, check_all, output
from bipstudy.replication import check_outputs, leaving_files
from bipstudy.texts import BipstudyError


def test_a_wide_ratio_does_not_say_how_few_had_the_event():
    # One over the square of a standard error of 0.72 is two people, whatever the size of the model.
    rows = [("three_changes", "hazard_ratio", 0.35, 0.72), ("one_change", "hazard_ratio", 0.71, 0.09)]
    frame = pd.DataFrame(rows, columns=["term", "scale", "estimate", "error"])
    half = 1.96 * frame["error"]
    frame = frame.assign(
        n=60_000, events=1_100, conf_low=frame["estimate"] * np.exp(-half), conf_high=frame["estimate"] * np.exp(half)
    )
    none = {"term": "never", "scale": "hazard_ratio", "n": 60_000, "events": 1_100}
    frame = pd.concat([frame, pd.DataFrame([none])], ignore_index=True)
    numbers = ["estimate", "conf_low", "conf_high"]
    options = {"labels": ["term"], "counts": ["n"], "parts": {"events": "n"}, "numbers": numbers, "errors": ["error"]}
    checked = check(
        frame, "estimates", **options, parameters=50, share_by="scale", estimate="estimate", constants=["scale"]
    )
    assert checked.frame["n"].isna().tolist() == [True, False, True]
    # That a number could not be estimated looks as if it were hidden.
    assert checked.hidden.loc[2].all()
    plain = frame.rename(columns={"estimate": "ratio", "conf_low": "low", "conf_high": "high"}).drop(columns="scale")
    named = check(
        plain, "estimates", labels=["term"], counts=["n"], numbers=["ratio", "low", "high"], drop=["error", "events"],
        parameters=50,
    )  # fmt: skip
    assert named.frame["ratio"].notna().tolist() == [False, True, False]


def test_the_events_at_a_point_of_a_curve_are_no_small_number():
    frame = pd.DataFrame({"t": range(1, 7), "y": [400, 390, 380, 370, 340, 320], "d": [4, 4, 4, 12, 3, 15]})
    frame["f"] = (frame["d"] / 400).cumsum()
    checked = check(frame, "curve", time="t", at_risk="y", estimate="f", events="d")
    assert checked.frame["f"].notna().tolist() == [False, False, True, True, False, True]
    # Twelve since the third month; of eighteen since the fourth all but three were in the last.
    assert checked.frame["d"].dropna().tolist() == [10]


def test_when_somebody_had_the_event_is_hidden_with_the_point():
    frame = pd.DataFrame({"day": [3, 17, 40, 41], "y": [400, 390, 380, 300], "f": [0.005, 0.03, 0.031, 0.2]})
    checked = check(frame, "curve", time="day", at_risk="y", estimate="f")
    assert checked.frame["day"].tolist() == [17, 41]
    assert checked.hidden.shape[0] == 2
    grid = check(frame.assign(day=[3, 6, 9, 12]), "curve", time="day", at_risk="y", estimate="f")
    assert grid.frame["day"].tolist() == [3, 6, 9, 12]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("income_low", [False, False, True]), ("share_low", [True, True, True])],
    ids=["a share", "an end"],
)
def test_a_share_is_no_end_of_an_interval_because_of_its_name(name, shown):
    frame = pd.DataFrame({"unit": list("abc"), "n": 200, "share": [0.2, 0.3, 0.4], name: [0.02, 0.2, 0.3]})
    checked = check(frame, "groups", labels=["unit"], counts=["n"], shares={"share": "n", name: "n"})
    assert checked.frame["n"].notna().tolist() == shown


def test_what_several_parts_leave_over_is_a_part_too():
    frame = pd.DataFrame({"unit": list("abc"), "n": [95, 200, 300], "work": [60, 60, 60], "study": [30, 30, 30]})
    checked = check(frame, "groups", labels=["unit"], counts=["n"], parts={"work": "n", "study": "n"})
    assert checked.frame["n"].isna().tolist() == [True, True, False]


def test_groups_by_two_labels_are_cells_of_a_table_whose_totals_are_known():
    cells = pd.DataFrame(
        [
            ("f", "young", 4),
            ("f", "old", 60),
            ("m", "young", 70),
            ("m", "old", 12),
            ("x", "young", 50),
            ("x", "old", 90),
        ],
        columns=["sex", "age", "n"],
    )
    hidden = check(cells, "groups", labels=["sex", "age"], counts=["n"]).frame.assign(hidden=lambda x: x["n"].isna())
    for label in ("sex", "age"):
        assert set(hidden.groupby(label)["hidden"].sum()) <= {0, 2}
    assert hidden["hidden"].sum() == 4
    # Two names of the same groups make no table: one beside the small one is enough.
    twice = cells.assign(sex=cells["sex"] + cells["age"], age=cells["sex"] + cells["age"] + "s")
    assert check(twice, "groups", labels=["sex", "age"], counts=["n"]).suppressed == 2


def test_a_share_with_few_digits_that_is_hidden_stays_so_where_it_stands_again():
    # Beside the eight stand the sixty-two: were those shown elsewhere, the eight would be what is left of 400.
    frame = pd.DataFrame({"value": list("abcd"), "n": [200, 130, 62, 8]}).assign(share=lambda x: x["n"] / 400)
    again = pd.DataFrame({"term": list("abcd"), "scale": "share", "estimate": frame["share"], "n": 400})
    described = Output("groups", labels=("value",), counts=("n",), shares={"share": "*"})
    options = {"labels": ("term",), "counts": ("n",), "numbers": ("estimate",), "estimate": "estimate"}
    estimates = Output("estimates", **options, share_by="scale", constants=("scale",), parameters=0)
    found = check_all({"table": (frame, described), "again": (again, estimates)})
    assert found["table"].frame["n"].notna().tolist() == [True, True, False, False]
    assert found["again"].frame["estimate"].notna().tolist() == [True, True, False, False]


@pytest.mark.parametrize("kind", ["groups", "frequency"])
@pytest.mark.parametrize("count", [np.inf, 1e23, 197010632391, 40.5, -40])
def test_what_is_no_number_of_people_does_not_leave(kind, count):
    frame = pd.DataFrame({"unit": list("abcd"), "n": [count, 60, 70, 80]})
    checked = check(frame, kind, labels=["unit"], counts=["n"])
    assert checked.frame is None or checked.frame["n"].isna().tolist() == [True, True, False, False]
    assert check(frame.iloc[:0], kind, labels=["unit"], counts=["n"]).refused == "no_rows"


def test_a_total_of_a_flow_is_worked_out_from_both_sides():
    def left(steps):
        frame = pd.DataFrame(steps, columns=["step", "kind", "people"]).assign(flow="a")
        checked = check(frame, "flow", labels=["flow", "step"], step="kind", counts=["people"])
        return None if checked.frame is None else checked.frame["people"].notna().tolist()

    # Fifty less forty-five are five.
    assert left([("all", "start", 50), ("first", "left_out", -45), ("rest", "kept", 5)]) == [True, False, False]
    # The total in the middle is the last one and the thirty between them.
    middle = [("all", "start", 100), ("first", "left_out", -4), ("then", "kept", 96), ("second", "left_out", -30),
              ("rest", "kept", 66)]  # fmt: skip
    assert left(middle) == [True, False, False, False, True]


def test_events_of_two_horizons_differ_by_few_people():
    frame = pd.DataFrame({"unit": list("abc"), "n": [300, 300, 300], "events": [60, 90, 120]})
    described = Output("groups", labels=("unit",), counts=("n",), parts={"events": "n"})
    later = frame.assign(events=[64, 110, 150])[["events", "unit", "n"]]
    found = check_all({"year": (frame, described), "two": (later, described)})
    gone = [found[name].frame["events"].isna().to_numpy() for name in ("year", "two")]
    assert (gone[0] | gone[1])[0]


@pytest.mark.parametrize(
    ("kind", "roles"),
    [
        ("curve", {"time": "t", "at_risk": "n", "estimate": "f", "counts": ["small"]}),
        ("curve", {"time": "t", "at_risk": "n", "estimate": "f", "parts": {"small": "n"}}),
        ("flow", {"labels": ["word"], "step": "word", "counts": ["n"], "parts": {"small": "n"}}),
        ("groups", {"labels": ["word"], "counts": ["n"], "events": "small"}),
        ("groups", {"labels": ["word"], "counts": ["n"], "margin": "Total"}),
        ("frequency", {"labels": ["word"], "counts": ["n", "small"]}),
        ("frequency", {"labels": ["word"], "counts": ["n"], "parts": {"small": "n"}}),
    ],
)
def test_a_column_in_a_role_that_nobody_checks_does_not_leave(kind, roles):
    frame = pd.DataFrame({"word": ["a", "b"], "t": [1, 2], "n": [400, 300], "f": [0.1, 0.2], "small": [3, 200]})
    with pytest.raises(BipstudyError, match="unchecked_role") as error:
        check(frame, kind, **roles)
    assert all(error.value.message(language) for language in ("sv", "en"))


def test_words_hold_no_computed_numbers_and_no_people():
    frame = pd.DataFrame({"unit": ["a", "b"], "n": [60, 70], "note": ["0.123456789", "much"], "say": [0.1234567, 0.5]})
    options = {"labels": ["unit"], "counts": ["n"]}
    assert list(check(frame, "groups", **options, words=["note", "say"]).frame) == ["unit", "n"]
    for dash in "-\u2011\u2013\u2212\u00a0":
        person = frame.assign(note=f"19701063{dash}2391")
        assert check(person, "groups", **options, words=["note"]).refused == "identity"


# Folders ------------------------------------------------------------------------------------------

UNITS = "unit,n\nA,120\nB,60\nC,90\n"


def folder(place, outputs="units.csv: {kind: groups, labels: [unit], counts: [n]}", more="", units=UNITS):
    place.mkdir(parents=True)
    (place / "units.csv").write_text(units, encoding="utf-8")
    (place / "outputs.yaml").write_text(f"outputs:\n  {outputs}\n{more}", encoding="utf-8")
    return place


@pytest.mark.parametrize("name", ["../../evil.png", "/tmp/evil.png", "units.csv", "index.html", "a/../../evil.png", ""])
def test_a_figure_is_written_nowhere_else_and_over_nothing(tmp_path, name):
    asked = folder(tmp_path / "in" / "own", more=f'figures:\n  "{name}": {{from: units.csv, draw: shares}}\n')
    with pytest.raises(BipstudyError, match="bad_role"):
        check_outputs(asked, tmp_path / "in" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["outputs.yaml", "units.csv"]


@pytest.mark.parametrize(
    "words",
    [
        "units.csv: {kind: groups, labels: [unit], counts: [n]}\n  units.csv: {kind: text}",
        "units.csv: {kind: groups, labels: [unit], labels: [n], counts: [n]}",
        "units.csv: {kind: groups, title: 2026-99-99}",
        "units.csv: " + "[" * 5000,
    ],
    ids=["a file twice", "a role twice", "no day", "deep"],
)
def test_a_description_that_says_two_things_or_cannot_be_read_is_refused(tmp_path, words):
    with pytest.raises(BipstudyError, match="bad_file"):
        check_outputs(folder(tmp_path / "own", words))


def test_rows_longer_than_their_head_are_no_table(tmp_path):
    # The counts would stand under the name of the label.
    with pytest.raises(BipstudyError, match="bad_table"):
        check_outputs(folder(tmp_path / "own", units="unit,n\nA,4,120\nB,3,60\n"))


def test_a_folder_is_not_written_over_with_what_it_holds(tmp_path):
    out = tmp_path / "out"
    check_outputs(folder(tmp_path / "own"), out)
    inner = folder(out / "next")
    with pytest.raises(BipstudyError, match="inside"):
        check_outputs(inner, out)
    assert (inner / "units.csv").exists()


def test_the_lowest_answers_about_belief_hide_each_other_since_estimates_show_their_sum():
    # Sixteen of the two lowest had work. With eleven of the second shown, the lowest would be five.
    name = "tables/belief_by_answer.csv"
    work = np.array([72, 97, 34, 11, 5])
    frame = pd.DataFrame({"answer": [5, 4, 3, 2, 1], "n": [290, 916, 1030, 1142, 1083]})
    frame = frame.assign(share=frame["n"] / frame["n"].sum(), work=work / frame["n"])
    described = leaving_files._fitted(output(leaving_files._described(name), name), list(frame))
    found = check_all({name: (leaving_files.prepared(name, frame), described)})[name]
    assert found.frame["n"].isna().tolist() == [False, False, False, True, True]
    assert list(found.frame) == ["answer", "n", "share", "work"]
