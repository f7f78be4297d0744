"""A document as PDF, set by Typst: no browser, no network, no fonts but those that come with Typst itself."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bipstudy.texts import BipstudyError, text

if TYPE_CHECKING:
    from bipstudy.report.document import Document

_TEMPLATE = Path(__file__).with_name("templates") / "document.typ"
# Characters that a line of a table holds in the size it is set in.
_LINE = 104
_SHORT = 18


def check_installed() -> None:
    """Raise BipstudyError if Typst is not installed, with the cure."""
    import importlib.util

    if importlib.util.find_spec("typst") is None:
        raise BipstudyError("report.no_pdf")


def to_pdf(document: Document) -> bytes:
    """Return a document as PDF.

    Parameters
    ----------
    document : Document

    Returns
    -------
    bytes
        The same for the same document; tagged, so that it can be read aloud.

    Raises
    ------
    BipstudyError
        The extra ``pdf`` is not installed.
    """
    check_installed()
    import typst

    content = document.contents()
    content["words"] = {name: text(f"report.{name}", document.language) for name in ("ours", "theirs", "page_of")}
    with tempfile.TemporaryDirectory() as folder:
        _with_files(content, Path(folder))
        (Path(folder) / "content.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        main = Path(folder) / "main.typ"
        main.write_bytes(_TEMPLATE.read_bytes())
        compiler = typst.Compiler(main, root=Path(folder), ignore_system_fonts=True)
        pdf = compiler.compile(format="pdf", timestamp=0)
    assert isinstance(pdf, bytes)
    return pdf


def _with_files(content: dict[str, Any], folder: Path) -> None:
    """Write each figure to a file of its own, and give each table the widths of its columns."""
    lists = [content["lead"], *(section["blocks"] for section in content["sections"])]
    number = 0
    for blocks in lists:
        for place, block in enumerate(blocks):
            if block["kind"] == "figure":
                number += 1
                (folder / f"{number}.svg").write_text(block["svg"], encoding="utf-8")
                blocks[place] = {**block, "svg": "", "file": f"{number}.svg"}
            elif block["kind"] == "table":
                blocks[place] = {**block, "widths": widths(block)}


def widths(table: dict[str, Any]) -> list[float]:
    """Return the share of the line that each column of a table gets; 0 where it is as wide as its longest cell.

    Examples
    --------
    >>> widths({"heads": ["a", "b"], "rows": [{"cells": ["1", "2"]}]})
    [0, 0]
    """
    columns = list(zip(table["heads"], *(row["cells"] for row in table["rows"] if "cells" in row), strict=True))
    lengths = [max(map(len, cells)) for cells in columns]
    if sum(length + 3 for length in lengths) <= _LINE:
        return [0] * len(lengths)
    return [0 if length <= _SHORT else math.sqrt(length) for length in lengths]
