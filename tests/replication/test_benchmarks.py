"""The file of Danish findings against a table typed from the published numbers, not from the file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bipstudy import schema
from bipstudy.replication import read_benchmarks
from bipstudy.texts import BipstudyError

# id, value as published in its unit, unit, use, outcome, raw or adjusted (None: not said), words of the source.
PUBLISHED = [
    ("R1", 7, "count", "compare", "work", None, "vaeksthusets-kompetencecenter.dk"),
    ("R2a", 1.33, "relative", "compare", "work_or_study", "adjusted", "nye-opsigtsvaekkende"),
    ("R2b", 1.32, "relative", "compare", "work", "adjusted", "what-affects-job-prospects"),
    ("R3", 0.78, "relative", "compare", "work", None, "nye-opsigtsvaekkende"),
    ("R4", 0.40, "share", "compare", "caseworker_change", "raw", "nye-opsigtsvaekkende"),
    ("R5a", 0.27, "share", "compare", "work", "raw", "bt.dk"),
    ("R5b", 26, "percentage_points", "context", "work", "raw", "bt.dk"),
    ("R6", 0.06, "share", "compare", "belief_answer", "raw", "bt.dk"),
    ("R7", 0.06, "share", "context", "work", "raw", "jobmeddiagnose.dk"),
    ("R8", 2, "percentage_points", "context", "work", "adjusted", "vaeksthuset.dk"),
    ("R9", 0.25, "share", "compare", "activity", "raw", "finsam.se"),
    ("R10", -1, "sign", "sign_only", "progression", None, "parallelle"),
    ("R11", 1, "sign", "sign_only", "progression", None, "what-affects-job-prospects"),
    ("R12", 1, "sign", "sign_only", "progression", None, "what-affects-job-prospects"),
    ("R13", 0, "sign", "sign_only", "progression", None, "samordningsforbundetskaraborg.se"),
    ("R14", 1, "sign", "sign_only", "work", None, "jobraad.dk"),
    ("R15", 0.23, "share", "compare", "work_or_study", "raw", "to-nye-udgivelser"),
    ("R16", 1, "sign", "sign_only", "work", None, "wol.iza.org"),
    ("R16_wages", 1, "sign", "not_computable", "wages", None, "wol.iza.org"),
    ("R16_medicines", -1, "sign", "not_computable", "medicines", None, "wol.iza.org"),
    ("R17", 1, "count", "context", "work", "adjusted", "labr.12172"),
    ("D1", 0.70, "share", "compare", "background", "raw", "finsam.se"),
    ("D2", 0.46, "share", "compare", "background", "raw", "finsam.se"),
    ("D3", 0.25, "share", "compare", "activity", "raw", "finsam.se"),
    ("D4", 0.40, "share", "compare", "caseworker_change", "raw", "vaeksthuset.dk"),
    ("D5", 0.06, "share", "context", "work", "raw", "jobmeddiagnose.dk"),
    ("D6", 0.63, "share", "not_computable", "support_history", "raw", "beskaeftigelses-indikator-projektet"),
    ("D7", 0.14, "share", "compare", "background", "raw", "to-nye-udgivelser"),
    ("D8", 0.70, "share", "compare", "background", "raw", "to-nye-udgivelser"),
    ("D9", 0.50, "share", "context", "background", "raw", "to-nye-udgivelser"),
    ("D10", 0.20, "share", "compare", "background", "raw", "to-nye-udgivelser"),
    ("D11", 0.25, "share", "not_computable", "crime", "raw", "to-nye-udgivelser"),
]
PARTS = {"R5a": [0.27, 0.01], "R6": [0.06, 0.20, 0.50], "R15": [0.23, 0.07]}
HORIZONS = {"R5a": 12, "R5b": 12, "R7": 12, "R8": 12, "D5": 12}
DERIVED = {"R5b", "R8"}


def test_the_file_says_what_was_published_in_the_published_order() -> None:
    found = read_benchmarks()
    assert [benchmark.id for benchmark in found] == [row[0] for row in PUBLISHED]
    for benchmark, (name, value, unit, use, outcome, adjusted, source) in zip(found, PUBLISHED, strict=True):
        said = (benchmark.value, benchmark.unit, benchmark.use, benchmark.outcome, benchmark.adjusted)
        assert said == (value, unit, use, outcome, adjusted or "unknown"), name
        assert source in benchmark.source, name
        assert benchmark.source.startswith("http"), name
        assert benchmark.std_error is None, name
        assert benchmark.horizon_months == HORIZONS.get(name), name
        assert benchmark.confidence == ("INFER" if name in DERIVED else "SEEN"), name
        assert [part.value for part in benchmark.parts] == PARTS.get(name, []), name


def test_the_derived_numbers_follow_from_the_published_ones() -> None:
    found = {benchmark.id: benchmark for benchmark in read_benchmarks()}
    believed, not_believed = (part.value for part in found["R5a"].parts)
    assert found["R5b"].reference == pytest.approx(believed - not_believed)
    # Two points is the published relative increase at the published base, rounded to whole points.
    assert round(100 * found["R7"].value * (found["R2a"].value - 1)) == found["R8"].value


def test_every_sentence_is_there_in_both_languages() -> None:
    for benchmark in read_benchmarks():
        for words in (benchmark.label, benchmark.reading, benchmark.differences, *(p.label for p in benchmark.parts)):
            assert set(words) == {"sv", "en"}
            assert all(sentence.strip() for sentence in words.values())


def test_points_become_a_difference_of_proportions_and_nothing_published_becomes_missing() -> None:
    found = {benchmark.id: benchmark for benchmark in read_benchmarks()}
    assert found["R5b"].reference == 0.26
    assert found["R3"].reference == 0.78
    assert math.isnan(found["R3"].reference_error)


def _copy(tmp_path: Path, old: str, new: str) -> Path:
    words = (schema.folder() / "benchmarks" / "danish.yaml").read_text(encoding="utf-8")
    assert old in words
    path = tmp_path / "mine.yaml"
    path.write_text(words.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_standard_error_that_a_user_adds_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _copy(tmp_path, "std_error: null", "std_error: 0.5")
    assert read_benchmarks(path)[0].std_error == 0.5
    monkeypatch.setenv("BIPSTUDY_BENCHMARKS", str(path))
    assert read_benchmarks()[0].std_error == 0.5


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("unit: count", "unit: number", "replication.benchmark_word"),
        ("use: compare", "use: equal", "replication.benchmark_word"),
        ("    std_error: null\n", "", "replication.benchmark_incomplete"),
        ("std_error: null", "std_error: -0.1", "replication.benchmark_error"),
        ("id: R2a", "id: R1", "replication.benchmark_twice"),
    ],
)
def test_a_broken_entry_is_refused_with_its_id(tmp_path: Path, old: str, new: str, code: str) -> None:
    with pytest.raises(BipstudyError) as caught:
        read_benchmarks(_copy(tmp_path, old, new))
    assert caught.value.code == code
    assert all("R1" in caught.value.message(language) for language in ("sv", "en"))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BipstudyError, match="nowhere"):
        read_benchmarks(tmp_path / "nowhere.yaml")
