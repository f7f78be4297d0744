"""A date or a caseworker that both forms of an occasion share makes no form of the one that nobody answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_what_stewards_send import write

import bipstudy as bip

HEAD = ["Nr", "Datum_M1", "Handl_M1", "F1_M1", "H1_M1", "Datum_M2", "Handl_M2", "F1_M2", "H1_M2"]
FIRST = ["2024-01-10", "H1", "3", "4"]
BLOCK = """
      - pattern: "{letter}{{item}}_M{{occasion}}"
        items: {{"1": job_search}}
        columns: {{"{date}_M{{occasion}}": answered_on, "Handl_M{{occasion}}": caseworker_id}}
        set: {{respondent: {who}}}"""


@pytest.fixture(params=["one entry", "two entries"])
def forms(tmp_path: Path, request: pytest.FixtureRequest):
    """Return what reads one person's second occasion, and says whose forms there are and what is wrong."""

    def check(*second: str, date: str = "Datum", header: list[str] = HEAD) -> tuple[list[str], set[str]]:
        blocks = [
            BLOCK.format(letter="F", date="Datum", who="participant"),
            BLOCK.format(letter="H", date=date, who="caseworker"),
        ]
        entries = ["".join(blocks)] if request.param == "one entry" else blocks
        mapping = tmp_path / "mapping.yaml"
        mapping.write_text(
            "organisation: A\ntables:\n  measurements:"
            + "".join(
                "\n  - file: svar.csv\n    columns: {Nr: participant_id}\n"
                f"    set: {{form_status: answered, instrument: bip-default}}\n    wide:{entry}"
                for entry in entries
            ),
            "utf-8",
        )
        path = write(tmp_path / "svar.csv", header, ["D1", *FIRST, *second])
        submission = bip.load_submission(path, mapping=mapping)
        loaded = submission.tables["measurements"]
        codes = set(bip.validate(submission, language="sv").findings["code"])
        wrong = codes & {"answered-without-answer", "caseworker-form-without-caseworker", "answered-without-date"}
        return sorted(loaded.loc[loaded["occasion"] == 2, "respondent"]), wrong

    return check


@pytest.mark.parametrize(
    ("answers", "who"), [(("3", ""), "participant"), (("", "4"), "caseworker"), (("Vet ej", ""), "participant")]
)
def test_one_who_did_not_answer_has_no_form(forms, answers: tuple[str, str], who: str) -> None:
    assert forms("2024-04-10", "H1", *answers) == ([who], set())


def test_both_answered_on_the_day_that_they_share(forms) -> None:
    assert forms("2024-04-10", "H1", "3", "4") == (["caseworker", "participant"], set())


def test_a_day_on_which_nobody_answered_is_told(forms) -> None:
    assert forms("2024-04-10", "H1", "", "") == (["caseworker", "participant"], {"answered-without-answer"})


def test_a_form_with_a_day_of_its_own_and_no_answer_is_told(forms) -> None:
    header = [*HEAD, "HDatum_M1", "HDatum_M2"]
    own = forms("2024-04-10", "H1", "3", "", "2024-01-10", "2024-04-11", date="HDatum", header=header)
    assert own == (["caseworker", "participant"], {"answered-without-answer"})
    none = forms("2024-04-10", "H1", "3", "", "2024-01-10", "", date="HDatum", header=header)
    assert none == (["participant"], set())


PLANNED = """
      - pattern: "{letter}{{item}}_{{occasion}}"
        items: {{"1": job_search}}
        columns: {{"Plan_{{occasion}}": due_on, "{letter}D_{{occasion}}": answered_on{status}}}
        set: {{respondent: {who}{set_}}}"""


@pytest.mark.parametrize("entries", [1, 2])
def test_a_form_that_was_due_and_not_done_is_one_by_the_day_of_its_plan(tmp_path: Path, entries: int) -> None:
    blocks = [
        PLANNED.format(letter="K", who="participant", status=', "KS_{occasion}": form_status', set_=""),
        PLANNED.format(letter="H", who="caseworker", status="", set_=", form_status: not_done"),
    ]
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "organisation: A\ntables:\n  measurements:"
        + "".join(
            f"\n  - file: svar.csv\n    columns: {{Nr: participant_id}}\n    wide:{each}"
            for each in (["".join(blocks)] if entries == 1 else blocks)
        ),
        "utf-8",
    )
    header = [name.format(at) for at in (1, 2) for name in ("Plan_{}", "KD_{}", "KS_{}", "K1_{}", "HD_{}", "H1_{}")]
    row = [cell for at in (1, 2) for cell in (f"2024-0{at}-10", f"2024-0{at}-11", "Besvarat", "3", "", "")]
    path = write(tmp_path / "svar.csv", ["Nr", *header], ["D1", *row])
    loaded = bip.load_submission(path, mapping=mapping).tables["measurements"]
    assert loaded.groupby("respondent", observed=True)["form_status"].agg(list).to_dict() == {
        "caseworker": ["not_done"] * 2,
        "participant": ["answered"] * 2,
    }
    assert loaded["due_on"].notna().all()


def test_a_form_that_the_mapping_says_was_declined_is_one_by_the_day_it_shares(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yaml"
    blocks = [
        BLOCK.format(letter=each, date="Datum", who=who) for each, who in (("F", "participant"), ("H", "caseworker"))
    ]
    blocks[1] = blocks[1].replace("caseworker}", "caseworker, form_status: declined}")
    head = "organisation: A\ntables:\n  measurements:\n  - file: svar.csv\n    columns: {Nr: participant_id}\n    wide:"
    mapping.write_text(head + "".join(blocks), "utf-8")
    path = write(tmp_path / "svar.csv", HEAD, ["D1", *FIRST[:3], "", "2024-04-10", "H1", "3", ""])
    loaded = bip.load_submission(path, mapping=mapping).tables["measurements"]
    assert sorted(loaded["respondent"]) == ["caseworker", "caseworker", "participant", "participant"]
