"""What every analysis hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.texts import default_language, text

ESTIMATE_COLUMNS = (
    "analysis", "term", "contrast", "scale", "outcome", "horizon_months", "adjustment", "role", "benchmark",
    "estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "events", "clusters",
)  # fmt: skip
SCALES = ("risk", "risk_difference", "risk_ratio", "hazard_ratio", "sd", "share", "auc", "other")
RATIOS = ("risk_ratio", "hazard_ratio")
# What the definitions of a transition are called in the estimates; the usual one first.
TRANSITIONS = ("work_or_study", "work_narrow", "work_or_study_broad")
FLOW_COLUMNS = ("flow", "step_key", "kind", "participants", "rows")


@dataclass(frozen=True)
class Sentence:
    """A sentence of the catalogue with what its placeholders stand for.

    Attributes
    ----------
    key : str
        Key in the catalogue.
    values : mapping of str to object
        Whole numbers are written as counts and other numbers as per cent, in the way of the language.
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def say(self, language: str) -> str:
        """Return the sentence in one language."""
        from bipstudy.report.numbers import count, percent

        written = {
            name: count(value, language)
            if isinstance(value, int)
            else percent(value, language, 0)
            if isinstance(value, float)
            else value
            for name, value in self.values.items()
        }
        return text(self.key, language, **written)


@dataclass(frozen=True)
class FigureSpec:
    """A figure that is drawn when it is looked at.

    Attributes
    ----------
    kind : {"forest", "incidence", "shares", "lines", "funnel"}
        Function of `bipstudy.report.figures`, or of `bipstudy.report.funnels`.
    frame : DataFrame
        What it shows; a column ``label_key`` or ``group_key`` is turned into words of the language. Beside rows whose
        ``benchmark_id`` names a Danish finding its published number is drawn.
    caption : str
        Key of the caption in the catalogue.
    options : mapping of str to object
        Further arguments; one that ends in ``_key`` is turned into words.
    """

    kind: str
    frame: pd.DataFrame
    caption: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, language: str | None = None) -> Any:
        """Return the figure in one language.

        Parameters
        ----------
        language : {"sv", "en"}, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        from bipstudy.report import figures, funnels

        chosen = language or default_language()
        frame, options = self._beside_denmark()
        draw = funnels.funnel if self.kind == "funnel" else getattr(figures, self.kind)
        return draw(worded(frame, chosen), language=chosen, **_worded_options(options, chosen))

    def _beside_denmark(self) -> tuple[pd.DataFrame, Mapping[str, Any]]:
        """Return frame and options with the published numbers, where rows name findings."""
        if "benchmark_id" not in self.frame:
            return self.frame, self.options
        from bipstudy.analyses.published import published_numbers, with_numbers

        frame = self.frame if "benchmark" in self.frame else with_numbers(self.frame, published_numbers())
        return frame, {**self.options, "benchmark_label_key": "replication.benchmark_label"}

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook."""
        from bipstudy.report import figures

        return figures.to_png(self.draw())


@dataclass(frozen=True)
class Result:
    """The answer to one question of the Danish study.

    Attributes
    ----------
    name : str
        Name of the analysis.
    estimates : DataFrame
        One row per estimate, columns `ESTIMATE_COLUMNS`. Ratios are given as ratios and their standard errors on the
        log scale, see `scale_note`.
    tables : mapping of str to DataFrame
        What is shown beside the estimates, in codes; `table` gives one in words.
    figures : mapping of str to FigureSpec
    flow : DataFrame
        Who was left out at each step, and why: ``flow`` (an analysis may have several), ``step_key``, ``kind`` (start,
        left_out, late for those of the former who come in later, cut into periods, kept), ``participants, rows``. What
        was left out is negative, so that each flow adds up.
    remarks : tuple of Sentence
        What the analysis cannot show, what was done about missing things, and why an estimate could not be made.
    settings : mapping of str to float
        What the sentences say of how the analysis was called: ``months`` of the horizon, ``days`` of the wash-out.
    replicates : mapping of str to array of shape (replications,)
        Bootstrap replicates of estimates that are primary or have a Danish counterpart, where they were asked for, by
        `bipstudy.analyses.resampling.key_of`.
    """

    name: str
    estimates: pd.DataFrame
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, FigureSpec] = field(default_factory=dict)
    flow: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FLOW_COLUMNS)))
    remarks: tuple[Sentence, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    replicates: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the analysis cannot show, in the default language."""
        return self.notes_in(default_language())

    @property
    def scale_note(self) -> str:
        """How ratios and their standard errors are given."""
        return text("analyses.scale_note", default_language())

    def notes_in(self, language: str) -> tuple[str, ...]:
        """Return what the analysis cannot show."""
        return tuple(remark.say(language) for remark in self.remarks)

    def question(self, language: str | None = None) -> str:
        """Return the question in words."""
        return self.words(f"analyses.{self.name}.question", language)

    def estimand(self, language: str | None = None) -> str:
        """Return what is estimated, in words."""
        return self.words(f"analyses.{self.name}.estimand", language)

    def answer(self, language: str | None = None) -> str:
        """Return the answer in a sentence, with its interval."""
        from bipstudy.analyses.wording import answer

        return answer(self, language or default_language())

    def table(self, name: str, language: str | None = None) -> pd.DataFrame:
        """Return one of the tables in words."""
        return worded(self.tables[name], language or default_language())

    def words(self, key: str, language: str | None = None, **values: str) -> str:
        """Return a sentence of the catalogue, such as a caption, with the settings of the analysis filled in."""
        chosen = language or default_language()
        comma = "," if chosen == "sv" else "."
        settings = {name: f"{value:g}".replace(".", comma) for name, value in self.settings.items()}
        return text(key, chosen, **{"goal": self._goal(chosen), **settings, **values})

    def _goal(self, language: str) -> str:
        """Return what a transition is called, in the definition that was asked for."""
        of = self.estimates["role"].eq("primary") & self.estimates["outcome"].isin(TRANSITIONS)
        named = self.estimates.loc[of, "outcome"]
        words = text(f"analyses.outcome.{named.iloc[0] if len(named) else TRANSITIONS[0]}", language)
        return words[:1].lower() + words[1:]

    def primary(self) -> pd.DataFrame:
        """Return the primary estimates."""
        return self.estimates[self.estimates["role"] == "primary"].reset_index(drop=True)


def worded(frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Return a frame whose columns that end in ``_key`` hold words, without that ending.

    Parameters
    ----------
    frame : DataFrame
        A key may carry the values of its placeholders after ``?``, as in ``analyses.step?days=30``.
    language : {"sv", "en"}

    Returns
    -------
    DataFrame
    """
    columns: dict[str, Any] = {}
    for column in frame.columns:
        if str(column).endswith("_key"):
            columns[str(column).removesuffix("_key")] = [say(key, language) for key in frame[column]]
        else:
            columns[str(column)] = frame[column]
    return pd.DataFrame(columns, index=frame.index)


def say(key: str, language: str) -> str:
    """Return the words of a key; text without a dot between names stands as it is."""
    if key.startswith("item:"):
        from bipstudy import schema

        return schema.items()[key.removeprefix("item:")].label[language]
    if key.startswith("code:"):
        from bipstudy import schema

        _, name, value = key.split(":", 2)
        return schema.code_list(name).labels(language)[value]
    if not key.startswith(("analyses.", "panel.", "replication.")):
        return key
    name, _, rest = key.partition("?")
    values = dict(pair.split("=", 1) for pair in rest.split("&")) if rest else {}
    return text(name, language, **values)


def _worded_options(options: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return arguments of a figure with words in place of keys."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name.endswith("_key"):
            found[name.removesuffix("_key")] = say(value, language)
        else:
            found[name] = value
    return found
