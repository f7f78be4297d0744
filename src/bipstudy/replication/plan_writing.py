"""Writes a plan that a person can read and change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bipstudy import analyses
from bipstudy.analyses.common import BACKGROUND, outcome_name
from bipstudy.replication.plan import AS_DESIGNED, SHARED, Plan, parameters
from bipstudy.replication.plan_reading import VERSION, has_multiverse
from bipstudy.texts import BipstudyError, default_language, text, text_forms

_WIDTH = 110
_EXAMPLE = (
    "belief: [{contrast: belief_top_vs_bottom, scale: risk_ratio, outcome: work_or_study, adjustment: background}]"
)


def init_plan(path: str | Path, language: str | None = None) -> Path:
    """Write the default plan with comments.

    Parameters
    ----------
    path : str or Path
        File to write; one that exists is not overwritten.
    language : {"sv", "en"}, optional
        Language of the comments.

    Returns
    -------
    Path

    Raises
    ------
    BipstudyError
        The file exists.
    """
    path = Path(path)
    if path.exists():
        raise BipstudyError("runs.plan_exists", path=path)
    path.write_text(commented(Plan(), language), encoding="utf-8", newline="\n")
    return path


def commented(plan: Plan, language: str | None = None) -> str:
    """Return a plan as YAML with comments.

    Parameters
    ----------
    plan : Plan
    language : {"sv", "en"}, optional

    Returns
    -------
    str
        `read_plan` of it gives the same plan.
    """
    chosen = language or default_language()
    return "\n".join(_lines(plan, chosen)) + "\n"


def plain(plan: Plan) -> str:
    """Return a plan as YAML without comments, the same for plans that say the same."""
    import yaml

    content: dict[str, Any] = {"version": VERSION, **plan.as_dict()}
    content["primary"] = content["primary"] or AS_DESIGNED
    words: str = yaml.safe_dump(content, sort_keys=True, allow_unicode=True, default_flow_style=None, width=_WIDTH)
    return words


def _lines(plan: Plan, language: str) -> Iterator[str]:
    """Yield the lines of a commented plan."""
    yield from _comment("head", language)
    yield from ("", *_comment("version", language), f"version: {VERSION}")
    yield from ("", *_comment("release", language), f"release: {'null' if plan.release is None else plan.release}")
    yield from ("", *_comment("questions", language), "questions:")
    for name in analyses.list():
        yield from _wrapped(_estimand(name, language), indent="  ")
        yield f"  {'' if name in plan.questions else '# '}- {name}"
    yield from ("", *_comment("definitions", language), "definitions:")
    yield from (f"  {name}: {value}" for name, value in plan.used_definitions().items())
    yield from ("", *_comment("settings", language))
    for name in analyses.list():
        own = [f"{each}: {default}" for each, default in parameters(name).items() if each not in SHARED]
        shared = [each for each in parameters(name) if each in SHARED]
        takes = ", ".join([*shared, *own]) or text("runs.plan.takes_nothing", language)
        yield from _wrapped(f"{name}: {takes}", indent="", prefix="#   ")
    yield from _block("settings", plan.as_dict()["settings"])
    yield from ("", *_comment("primary", language), f"#   {_EXAMPLE}")
    yield from _block("primary", plan.as_dict()["primary"] or AS_DESIGNED)
    yield from ("", *_comment("covariates", language), *_wrapped(", ".join(BACKGROUND), indent="", prefix="#   "))
    yield f"leave_out: [{', '.join(plan.leave_out)}]"
    yield from ("", *_comment("missing", language), f"missing_data: {plan.missing_data}")
    yield from ("", *_comment("smallest", language), "smallest_effect:")
    yield from (f"  {scale}: {value:g}" for scale, value in sorted(plan.smallest_effect.items()))
    yield from ("", *_comment("bootstrap", language), f"replications: {plan.replications}")
    if has_multiverse():
        yield from ("", *_comment("multiverse", language), f"multiverse: {str(plan.multiverse).lower()}")
    yield from ("", *_comment("by_group", language), f"by_group: {str(plan.by_group).lower()}")
    yield from ("", *_comment("disclosure", language), f"disclosure_threshold: {plan.disclosure_threshold}")
    yield from ("", *_comment("seed", language), f"seed: {plan.seed}")


def _comment(name: str, language: str) -> Iterator[str]:
    """Yield a comment on lines that fit."""
    for line in text(f"runs.plan.{name}", language).rstrip("\n").split("\n"):
        # A line that is indented is a command and is not broken.
        yield from [f"# {line}"] if line.startswith(" ") else _wrapped(line, indent="")


def _wrapped(words: str, *, indent: str, prefix: str = "# ") -> list[str]:
    """Return words as lines of a comment."""
    start = indent + prefix
    return textwrap.wrap(
        words, _WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def _block(name: str, content: Any) -> Iterator[str]:
    """Yield a setting with whatever it holds."""
    import yaml

    if content == {}:
        yield f"{name}: {{}}"
        return
    yield from yaml.safe_dump({name: content}, allow_unicode=True, width=_WIDTH).rstrip("\n").split("\n")


def _estimand(name: str, language: str) -> str:
    """Return what the primary estimate of a question is of, with the default definitions."""
    known = {"months": "horizon_months", "days": "washout_days"}
    own = {**Plan().definitions, **parameters(name)}
    goal = text(f"analyses.outcome.{outcome_name(str(own['outcome']))}", language)
    values = {**own, **{word: f"{own[key]:g}" for word, key in known.items()}, "goal": goal[:1].lower() + goal[1:]}
    return text_forms(f"analyses.{name}.estimand")[language].format_map(_Filled(values))


class _Filled(dict[str, Any]):
    """Values of placeholders; one that only a run can fill is left open."""

    def __missing__(self, name: str) -> str:
        return "…"
