"""A folder or file that may not be opened is told: what stands in it may be the table that is missed."""

import os
from pathlib import Path

import pytest
from deliveries import write

import bipstudy as bip


def places(submission):
    """Return code and file of each finding, but of tables that are missing."""
    return {(each.code, each.file) for each in submission.findings if each.code != "missing-table"}


@pytest.mark.parametrize("closed", ["syd", "norr/2024", ""])
def test_a_folder_that_may_not_be_opened_is_told(tmp_path, monkeypatch, closed):
    folder = write(tmp_path / "leverans")
    (folder / "syd").mkdir()
    (folder / "norr" / "2024").mkdir(parents=True)
    (folder / "__MACOSX").mkdir()
    list_folder = os.scandir

    def refusing(path):
        if os.fspath(path) in {str(folder / closed), str(folder / "__MACOSX")}:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return list_folder(path)

    assert bip.validate(bip.load_submission(folder)).ok
    monkeypatch.setattr(os, "scandir", refusing)
    submission = bip.load_submission(folder)
    assert places(submission) == {("unreadable-file", closed or "leverans")}
    assert not bip.validate(submission).ok


def test_files_of_a_folder_that_lets_nobody_in_are_told(tmp_path, monkeypatch):
    folder = write(tmp_path / "leverans")
    look = Path.stat

    def refusing(path, **how):
        if path.suffix == ".csv" and path.name.startswith("Handl"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", refusing)
    assert places(bip.load_submission(folder)) == {("unreadable-file", "Handläggare.csv")}
