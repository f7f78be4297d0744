"""A few fuzzed files in the normal run; the long run is the script beside this."""

import fuzz_files
import pytest


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    fuzz_files.BASE.update(fuzz_files.corpus(tmp_path_factory.mktemp("base")))
    return fuzz_files.BASE


@pytest.mark.parametrize("number", range(len(fuzz_files.SPECIAL) + 12))
def test_every_file_ends_in_a_report_or_a_refusal(base, tmp_path, monkeypatch, number):
    empty, folder = tmp_path / "empty", tmp_path / "files"
    empty.mkdir()
    folder.mkdir()
    monkeypatch.chdir(empty)
    kind, ended, wrong = fuzz_files.run_case(1, number, folder)
    assert wrong is None, f"{kind}: {wrong}"
    assert ended in {"report", "refused", "loaded"}


def test_a_case_is_the_same_whenever_it_is_drawn(base):
    assert [fuzz_files.drawn(1, number) for number in range(12, 40)] == [
        fuzz_files.drawn(1, number) for number in range(12, 40)
    ]
    assert len({fuzz_files.drawn(1, number)[2] for number in range(12, 40)}) > 20
