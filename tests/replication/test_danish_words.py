"""What the report says of the Danish numbers: no more than their sources do, and nothing against the numbers held."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bipstudy.replication.benchmarks import Benchmark, read_benchmarks
from bipstudy.replication.beside import danish_words, shown_id
from bipstudy.texts import BipstudyError

KNOWN = {benchmark.id: benchmark for benchmark in read_benchmarks()}
# What the sources give as about so much, as an upper limit or in words: knowledge of the sources, not of the code.
VAGUE = ("R5a", "R5b", "R6", "R7", "R8", "R9", "R10", "R17", "D1", "D3", "D5", "D8", "D9", "D10")


def held(benchmark: Benchmark) -> set[float]:
    """Return the numbers that a finding may be written with, as people write them."""
    values = [part.value for part in benchmark.parts] or [benchmark.value or 0.0]
    return {round(100 * value if benchmark.unit == "share" else value, 2) for value in values}


@pytest.mark.parametrize("name", VAGUE)
def test_a_vague_number_is_written_as_the_source_puts_it(name: str) -> None:
    assert set(KNOWN[name].words) == {"sv", "en"}
    for language in ("sv", "en"):
        assert danish_words(KNOWN[name], language).replace("\u00a0", " ") == KNOWN[name].words[language]


@pytest.mark.parametrize("name", [name for name, each in KNOWN.items() if each.words])
def test_words_hold_no_number_but_those_of_the_finding(name: str) -> None:
    for words in KNOWN[name].words.values():
        assert {float(number) for number in re.findall(r"\d+", words)} <= held(KNOWN[name])


def test_a_number_that_is_known_exactly_is_written_as_a_number() -> None:
    exact = replace(KNOWN["D9"], value=0.48, std_error=0.01)
    assert danish_words(exact, "sv") == "48\u00a0%"


def test_words_come_in_both_languages(tmp_path: object) -> None:
    from pathlib import Path

    import yaml

    from bipstudy.replication.benchmarks import as_yaml

    content = yaml.safe_load(as_yaml((KNOWN["D9"],)))
    del content["benchmarks"][0]["words"]["sv"]
    path = Path(str(tmp_path)) / "own.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(BipstudyError, match=r"benchmark_incomplete"):
        read_benchmarks(path)


def test_ids_of_one_source_are_shown_alike() -> None:
    assert [shown_id(name) for name in ("R16_wages", "R2a", "D10")] == ["R16", "R2a", "D10"]


def test_a_comparison_names_what_it_is_with() -> None:
    """A change after parallel activities against one activity is not that against none: both stand on one page."""
    assert "enbart" in KNOWN["R12"].label["sv"]
    assert all("mot ingen" in KNOWN[name].label["sv"] for name in ("R11", "R13"))
