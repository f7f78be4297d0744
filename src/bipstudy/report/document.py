"""One self-contained HTML page: text, tables and figures, in light and dark, on screen and paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.house import house_css
from bipstudy.report import figures, style, tables
from bipstudy.texts import text


@dataclass
class Section:
    """A heading and what stands under it: as markup of a page, and as plain content for print."""

    title: str
    anchor: str
    level: int
    blocks: list[str] = field(default_factory=list)
    contents: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """One question with its answer, and what it is held against.

    Attributes
    ----------
    question, answer : str
    ours, theirs : str
        The two numbers as written; empty where there is none.
    verdict : str
        In words.
    tone : {"agrees", "differs", "open"}
        How the verdict is marked, beside its words.
    """

    question: str
    answer: str
    ours: str = ""
    theirs: str = ""
    verdict: str = ""
    tone: str = "open"


class Document:
    """A page that is written from top to bottom.

    Everything given is plain text and is escaped; only figures and tables made here become markup.

    Parameters
    ----------
    title : str
    language : {"sv", "en"}
    subtitle : str
        Stands under the title.
    stamp : str
        Stands at the top of every page, such as "internal - not for release".

    Examples
    --------
    >>> page = Document("Rapport", "sv")
    >>> page.section("I korthet")
    >>> page.paragraph("Ett stycke.")
    >>> "<p>Ett stycke.</p>" in page.to_html()
    True
    """

    def __init__(self, title: str, language: str, *, subtitle: str = "", stamp: str = "") -> None:
        self.title = title
        self.language = language
        self.subtitle = subtitle
        self.stamp = stamp
        self.facts: list[tuple[str, str]] = []
        self._lead: list[str] = []
        self._lead_contents: list[dict[str, Any]] = []
        self._sections: list[Section] = []
        self._figures = 0
        self._tables = 0

    def fact(self, label: str, value: str) -> None:
        """Add a line to the facts under the title."""
        self.facts.append((label, value))

    def lead(self, words: str) -> None:
        """Add a paragraph before the first section."""
        self._lead.append(f'<p class="lead">{escape(words)}</p>')
        self._lead_contents.append({"kind": "lead", "words": words})

    def section(self, title: str, *, level: int = 2) -> None:
        """Begin a section; `level` 2 stands in the list of contents, 3 does not."""
        anchor = re.sub(r"[^\w]+", "-", title.casefold()).strip("-")
        taken = sum(section.anchor.split("--")[0] == anchor for section in self._sections)
        self._sections.append(Section(title, f"{anchor}--{taken + 1}" if taken else anchor, level))

    def paragraph(self, words: str, *, quiet: bool = False) -> None:
        """Add a paragraph; a quiet one is set smaller, for method and reservations."""
        html = f'<p class="quiet">{escape(words)}</p>' if quiet else f"<p>{escape(words)}</p>"
        self._add(html, {"kind": "quiet" if quiet else "paragraph", "words": words})

    def bullets(self, lines: Sequence[str]) -> None:
        """Add a list."""
        html = "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
        self._add(html, {"kind": "bullets", "lines": list(lines)})

    def callout(self, words: str, *, tone: str = "note") -> None:
        """Add a boxed remark; `tone` is ``note`` or ``warning``."""
        html = f'<aside class="callout {tone}"><p>{escape(words)}</p></aside>'
        self._add(html, {"kind": "callout", "words": words, "tone": tone})

    def answers(self, answers: Sequence[Answer]) -> None:
        """Add questions with their answers, the published number beside ours."""
        cards = []
        for answer in answers:
            numbers = ""
            if answer.ours or answer.theirs:
                numbers = (
                    '<dl class="pair">'
                    f"<div><dt>{text('report.ours', self.language)}</dt><dd>{escape(answer.ours) or '–'}</dd></div>"
                    f"<div><dt>{text('report.theirs', self.language)}</dt><dd>{escape(answer.theirs) or '–'}</dd></div>"
                    "</dl>"
                )
            verdict = f'<p class="verdict {answer.tone}">{escape(answer.verdict)}</p>' if answer.verdict else ""
            cards.append(
                f'<article class="answer"><h3>{escape(answer.question)}</h3><p>{escape(answer.answer)}</p>'
                f"{numbers}{verdict}</article>"
            )
        self._add(f'<div class="answers">{"".join(cards)}</div>', {"kind": "answers", "answers": [*map(vars, answers)]})

    def table(self, frame: pd.DataFrame, caption: str, **options: Any) -> None:
        """Add a table with a numbered caption; options as in `tables.to_html`."""
        self._tables += 1
        numbered = f"{text('report.table', self.language)} {self._tables}. {caption}"
        html = tables.to_html(frame, language=self.language, caption=numbered, **options)
        cells = tables.to_cells(frame, language=self.language, caption=numbered, **options)
        self._add(f'<div class="scroll" tabindex="0">{html}</div>', {"kind": "table", **cells})

    def figure(self, figure: Any, caption: str, *, description: str = "") -> None:
        """Add a figure, of matplotlib or a `Picture`, with a numbered caption; the description is read out with it."""
        self._figures += 1
        numbered = f"{text('report.figure', self.language)} {self._figures}. {caption}"
        plain = figures.to_svg(figure, title=caption, description=description, themed=False)
        svg = _own_ids(style.themed(plain), f"f{self._figures}")
        html = f'<figure><div class="drawn" tabindex="0">{svg}</div>'
        html += f"<figcaption>{escape(numbered)}</figcaption></figure>"
        self._add(
            html, {"kind": "figure", "svg": plain, "caption": numbered, "alt": f"{caption} {description}".strip()}
        )

    def details(self, summary: str, frame: pd.DataFrame, *, in_pdf: bool = True, **options: Any) -> None:
        """Add a table that opens when asked for; a printed page has it open, a PDF has it if `in_pdf`."""
        html = tables.to_html(frame, language=self.language, **options)
        self._add(
            f'<details><summary>{escape(summary)}</summary><div class="scroll" tabindex="0">{html}</div></details>',
            {"kind": "table", **tables.to_cells(frame, language=self.language, **options), "caption": summary}
            if in_pdf
            else {"kind": "left_out"},
        )

    def to_html(self) -> str:
        """Return the page."""
        parts = {"sections": self._sections, "lead": self._lead, "say": self._say, "house": house_css()}
        html: str = _template().render(page=self, **parts)
        return html

    def write(self, path: str | Path) -> Path:
        """Write the page and return its path."""
        path = Path(path)
        path.write_text(self.to_html(), encoding="utf-8", newline="\n")
        return path

    def _say(self, key: str) -> str:
        """Return one of the page's own words."""
        return text(f"report.{key}", self.language)

    def _add(self, block: str, content: dict[str, Any]) -> None:
        """Put a block under the latest section."""
        (self._sections[-1].blocks if self._sections else self._lead).append(block)
        (self._sections[-1].contents if self._sections else self._lead_contents).append(content)

    def contents(self) -> dict[str, Any]:
        """Return everything on the page without markup, for print."""
        return {
            "title": self.title,
            "subtitle": self.subtitle,
            "stamp": self.stamp,
            "language": self.language,
            "facts": self.facts,
            "lead": [*self._lead_contents],
            "sections": [
                {"title": section.title, "level": section.level, "blocks": [*section.contents]}
                for section in self._sections
            ],
        }


def _own_ids(svg: str, prefix: str) -> str:
    """Return an SVG whose ids are its own, since all figures share one page."""
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(xlink:href|href)="#', rf'\1="#{prefix}-', svg)
    return svg.replace("url(#", f"url(#{prefix}-")


@cache
def _template() -> Any:
    """Return the page's template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("document.html.j2")
