"""The codebook in the forms of others: what Frictionless makes of the descriptor, and the order that DDI asks for."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.schema.data_package import data_package, write_data_package
from bipstudy.schema.ddi import NAMESPACE, ddi_codebook, write_ddi
from bipstudy.texts import LANGUAGES

# Parts of a variable in the order of the published schema (DDI-Codebook 2.5, varType).
ORDER = ("labl", "qstn", "valrng", "txt", "catgry", "varFormat", "notes")


def _few() -> dict:
    """Return the tables of ten participants."""
    tables = dict(bip.load_example().tables)
    kept = tables["participants"].head(10)
    pairs = set(zip(kept["organisation_id"], kept["participant_id"], strict=True))
    for name, frame in tables.items():
        if "participant_id" in frame:
            of = [pair in pairs for pair in zip(frame["organisation_id"], frame["participant_id"], strict=True)]
            tables[name] = frame[of].reset_index(drop=True)
    return tables


def _errors(folder, tables) -> set[tuple[str, str, int]]:
    """Return what Frictionless finds in tables as they are written: table, kind and row of the file."""
    import frictionless

    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    path = write_data_package(folder / "datapackage.json", "en")
    with frictionless.system.use_context(trusted=True):
        report = frictionless.validate(str(path))
    assert {task.name for task in report.tasks} == set(schema.TABLE_NAMES)
    return {(task.name, each.type, getattr(each, "row_number", 0)) for task in report.tasks for each in task.errors}


def test_frictionless_finds_nothing_in_a_study_that_is_right_and_reads_it_as_we_do(tmp_path) -> None:
    tables = _few()
    assert _errors(tmp_path, tables) == set()
    assert bip.load_study(tmp_path).hash == schema.content_hash(tables)


def test_frictionless_finds_what_is_wrong_by_the_descriptor_alone(tmp_path) -> None:
    tables = {name: frame.copy() for name, frame in _few().items()}
    tables["participants"].loc[2, "sex"] = "neither"
    tables["participants"].loc[3, "work_or_study_share_5y"] = 1.5
    tables["assignments"].loc[1, "participant_id"] = "nobody"
    forms = tables["measurements"]
    forms.loc[4, list(schema.table("measurements").key)] = forms.loc[3, list(schema.table("measurements").key)]
    forms.loc[6, "form_status"] = None
    # Rows as an editor shows them: the header is the first.
    assert _errors(tmp_path, tables) == {
        ("participants", "constraint-error", 4),
        ("participants", "constraint-error", 5),
        ("assignments", "foreign-key", 3),
        ("measurements", "primary-key", 6),
        ("measurements", "constraint-error", 8),
        # The form that became another one's copy had a missing answer.
        ("missing_answers", "foreign-key", 3),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_descriptor_has_every_column_in_order(language: str) -> None:
    for resource in data_package(language)["resources"]:
        fields = [field["name"] for field in resource["schema"]["fields"]]
        assert fields == list(schema.dtypes(resource["name"]))
        assert all(field["title"] for field in resource["schema"]["fields"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_ddi_has_every_column_once_with_its_values_and_nothing_that_is_not_public(tmp_path, language: str) -> None:
    root = ET.parse(write_ddi(tmp_path / "kodbok.xml", language)).getroot()
    ns = {"d": NAMESPACE}
    variables = root.findall("d:dataDscr/d:var", ns)
    assert len({each.get("ID") for each in variables}) == len(variables)
    names = {name: [] for name in schema.TABLE_NAMES}
    for each in variables:
        names[each.get("files").removeprefix("F.")].append(each.get("name"))
        parts = [part.tag.removeprefix(f"{{{NAMESPACE}}}") for part in each]
        assert parts == sorted(parts, key=ORDER.index)
        assert [label.get("{http://www.w3.org/XML/1998/namespace}lang") for label in each.findall("d:labl", ns)] == [
            *LANGUAGES
        ]
    for name, found in names.items():
        assert found == list(schema.dtypes(name))
    sex = root.find("d:dataDscr/d:var[@ID='V.participants.sex']", ns)
    assert [each.text for each in sex.findall("d:catgry/d:catValu", ns)] == schema.code_list("sex").values
    # The wording of the questionnaire is not public: no question is invented.
    public = [item for item in schema.instrument().items if any(item.wording.values())]
    assert len(root.findall(".//d:qstn", ns)) == len(public)


def test_ddi_gives_the_same_bytes_each_time() -> None:
    assert ddi_codebook("sv") == ddi_codebook("sv")
