"""The PDF: the same bytes again, every word in it, set in its language, and a cure where Typst is missing."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from bipstudy.report import Answer, Document, figures
from bipstudy.report.pdf import to_pdf, widths
from bipstudy.texts import BipstudyError


def document() -> Document:
    page = Document("Rapport å ä ö", "sv", subtitle="#set text(red) *ej fet* $x$", stamp="Internt")
    page.fact("Utgåva", "3")
    page.lead("Inledning.")
    page.section("I korthet")
    page.answers([Answer("Fråga?", "Svar.", ours="1,2", theirs="1,3", verdict="samma riktning", tone="agrees")] * 3)
    page.callout("En anmärkning.")
    page.bullets(["Ett", "Två"])
    frame = pd.DataFrame({"Grupp": ["A", "A", "B"], "Namn": ["x" * 60, "y", "z"], "Tal": [1.5, -2.25, None]})
    page.table(frame, "En tabell.", group="Grupp", note="En not.")
    page.details("Mer", frame)
    rows = pd.DataFrame({"label": ["a"], "estimate": [1.2], "conf_low": [1.0], "conf_high": [1.5]})
    page.figure(figures.forest(rows, language="sv"), "En figur.")
    return page


def test_the_same_document_gives_the_same_bytes() -> None:
    page = document()
    assert to_pdf(page) == to_pdf(page) == to_pdf(document())


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler")
def test_every_word_is_in_it_and_nothing_is_read_as_markup(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(to_pdf(document()))
    read = subprocess.run(["pdftotext", "-layout", tmp_path / "a.pdf", "-"], capture_output=True, text=True, check=True)
    for words in ("Rapport å ä ö", "#set text(red) *ej fet* $x$", "Internt", "Sida 1 av", "Fråga?", "samma riktning",
                  "−2,25", "Tabell 1. En tabell.", "En not.", "Figur 1. En figur.", "Mer", "Två"):  # fmt: skip
        assert words in read.stdout


def test_without_typst_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BipstudyError, match=r"report\.no_pdf"):
        to_pdf(document())


def test_wide_tables_share_the_line() -> None:
    rows = [{"cells": ["a" * 80, "1", "b" * 40]}, {"group": "g"}]
    first, second, third = widths({"heads": ["x", "y", "z"], "rows": rows})
    assert second == 0
    assert first > third > 0
