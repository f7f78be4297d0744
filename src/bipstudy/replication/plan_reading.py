"""Reads a plan and says, line by line, what is wrong with it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bipstudy import analyses, schema
from bipstudy.analyses.common import BACKGROUND
from bipstudy.analyses.result import SCALES
from bipstudy.disclosure import FLOOR
from bipstudy.replication.agreement import RATIOS, SMALLEST_EFFECT
from bipstudy.replication.plan import AS_DESIGNED, MISSING_DATA, Estimand, Plan, parameters
from bipstudy.texts import BipstudyError, text

VERSION = 1
KEYS = (
    "version", "release", "questions", "definitions", "settings", "primary", "leave_out", "missing_data",
    "smallest_effect", "replications", "multiverse", "by_group", "disclosure_threshold", "seed",
)  # fmt: skip
# Fewer resamples say nothing about a share of them.
LEAST_REPLICATIONS = 99


def read_plan(path: str | Path) -> Plan:
    r"""Read a plan.

    Parameters
    ----------
    path : str or Path
        A YAML file as `bipstudy plan init` writes it. Only ``version`` and ``questions`` are required; what is left
        out is as in a new plan.

    Returns
    -------
    Plan

    Raises
    ------
    BipstudyError
        The file cannot be read, or holds what has no effect; the error names the line, what was expected and the cure.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "plan.yml"
    ...     _ = path.write_text("version: 1\nquestions: [belief]\nseed: 7\n")
    ...     read_plan(path).seed
    7
    """
    path = Path(path)
    if not path.is_file():
        raise BipstudyError("runs.no_plan", path=path)
    return _Reader(path.name, path).plan()


class _Reader:
    """The nodes of a plan, each with its line."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.root = self._composed()

    def plan(self) -> Plan:
        """Return what the file says."""
        found = self._mapping(self.root, "plan", KEYS)
        for key in ("version", "questions"):
            if key not in found:
                raise BipstudyError("runs.plan_missing_key", path=self.name, line=self._line(self.root), name=key)
        self._one_of(found["version"], "version", (VERSION,), "version")
        questions = self._questions(found["questions"])
        given: dict[str, Any] = {"questions": questions, "path": self.path}
        readers: dict[str, Callable[[Any], Any]] = {
            "release": self._release,
            "leave_out": self._leave_out,
            "missing_data": lambda node: self._one_of(node, "missing_data", (MISSING_DATA,), "indicator"),
            "smallest_effect": self._smallest,
            "replications": self._replications,
            "multiverse": self._multiverse,
            "by_group": lambda node: self._yes_or_no(node, "by_group"),
            "disclosure_threshold": lambda node: self._whole(node, "disclosure_threshold", FLOOR),
            "seed": lambda node: self._whole(node, "seed", 0),
            "definitions": lambda node: self._definitions(node, questions),
            "settings": lambda node: self._settings(node, questions),
            "primary": lambda node: self._primary(node, questions),
        }
        for key, read in readers.items():
            if key in found:
                given[key] = read(found[key])
        return Plan(**given)

    def _composed(self) -> Any:
        """Return the tree of the file."""
        import yaml

        try:
            root = yaml.compose(self.path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
        except UnicodeDecodeError:
            raise BipstudyError("runs.plan_not_text", path=self.name) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            raise BipstudyError("runs.plan_not_yaml", path=self.name, line=line) from None
        if root is None:
            raise BipstudyError("runs.plan_missing_key", path=self.name, line=1, name="version")
        return root

    def _line(self, node: Any) -> int:
        """Return the line of a node as an editor counts it."""
        return int(node.start_mark.line) + 1

    def _wrong(self, node: Any, name: str, expected: str, **values: object) -> BipstudyError:
        """Return the error that a value is not what was expected, which is said in the reader's language."""
        return _WrongValue(path=self.name, line=self._line(node), name=name, expected=expected, values=values)

    def _mapping(self, node: Any, name: str, known: Sequence[str] | None) -> dict[str, Any]:
        """Return the nodes of a mapping by key; each key is known and stands once."""
        if node.id == "scalar" and node.tag.endswith(":null"):
            return {}
        if node.id != "mapping":
            raise self._wrong(node, name, "mapping")
        found: dict[str, Any] = {}
        for key, value in node.value:
            word, line = str(key.value) if key.id == "scalar" else "?", self._line(key)
            if known is not None and word not in known:
                raise BipstudyError(
                    "runs.plan_unknown_key", path=self.name, line=line, name=word, known=", ".join(known)
                )
            if word in found:
                raise BipstudyError("runs.plan_twice", path=self.name, line=line, name=word)
            found[word] = value
        return found

    def _list(self, node: Any, name: str) -> list[Any]:
        """Return the nodes of a list."""
        if node.id == "scalar" and node.tag.endswith(":null"):
            return []
        if node.id != "sequence":
            raise self._wrong(node, name, "list")
        return list(node.value)

    def _value(self, node: Any) -> Any:
        """Return the value of a scalar, None for anything else."""
        import yaml

        if node.id != "scalar":
            return None
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError):
            return None

    def _one_of(self, node: Any, name: str, known: Sequence[Any], expected: str = "one_of") -> Any:
        """Return a value that must be one of several."""
        value = self._value(node)
        if isinstance(value, bool) or value not in known:
            raise self._wrong(node, name, expected, known=", ".join(map(str, known)))
        return value

    def _whole(self, node: Any, name: str, least: int, expected: str = "whole") -> int:
        """Return a whole number."""
        value = self._value(node)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self._wrong(node, name, expected, least=least)
        return value

    def _number(self, node: Any, name: str, above: float, expected: str = "number") -> float:
        """Return a number above a limit."""
        value = self._value(node)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not above < value < float("inf"):
            raise self._wrong(node, name, expected, least=f"{above:g}")
        return value

    def _questions(self, node: Any) -> tuple[str, ...]:
        """Return the questions in the order of a report."""
        known = analyses.list()
        nodes = self._list(node, "questions")
        asked = [self._one_of(each, "questions", known, "question") for each in nodes]
        if not asked or len(set(asked)) < len(asked):
            raise self._wrong(node, "questions", "some_questions")
        return tuple(name for name in known if name in asked)

    def _definitions(self, node: Any, questions: Sequence[str]) -> dict[str, Any]:
        """Return the shared definitions; each is taken by a question that is asked."""
        takers = {name: [each for each in analyses.list() if name in parameters(each)] for name in _shared()}
        found = self._mapping(node, "definitions", list(takers))
        for name, value in found.items():
            if not set(takers[name]) & set(questions):
                raise BipstudyError(
                    "runs.plan_nowhere_used",
                    path=self.name, line=self._line(value), name=name, takers=", ".join(takers[name]),
                )  # fmt: skip
        given = {
            name: self._definition(value, name, parameters(takers[name][0])[name]) for name, value in found.items()
        }
        return {**Plan().definitions, **given}

    def _settings(self, node: Any, questions: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return settings of single questions, each one that the question takes."""
        found: dict[str, dict[str, Any]] = {}
        for question, own in self._of_questions(node, "settings", questions).items():
            known = parameters(question)
            found[question] = {}
            for name, value in self._mapping(own, question, None).items():
                if name not in known:
                    raise BipstudyError(
                        "runs.plan_not_taken",
                        path=self.name, line=self._line(value), question=question, name=name,
                        known=", ".join(known) or "–",
                    )  # fmt: skip
                found[question][name] = self._definition(value, name, known[name])
        return found

    def _of_questions(self, node: Any, name: str, questions: Sequence[str]) -> dict[str, Any]:
        """Return nodes by question; each question is asked."""
        found = self._mapping(node, name, None)
        for question, own in found.items():
            if question not in analyses.list():
                known = ", ".join(analyses.list())
                raise BipstudyError(
                    "runs.plan_unknown_key", path=self.name, line=self._line(own), name=question, known=known
                )
            if question not in questions:
                raise BipstudyError("runs.plan_not_asked", path=self.name, line=self._line(own), question=question)
        return found

    def _definition(self, node: Any, name: str, default: Any) -> Any:
        """Return the value of a definition, of the kind of its default."""
        if name == "outcome":
            return self._one_of(node, name, schema.transition_names())
        if isinstance(default, bool):
            value = self._value(node)
            if not isinstance(value, bool):
                raise self._wrong(node, name, "yes_or_no")
            return value
        if isinstance(default, str):
            value = self._value(node)
            if not isinstance(value, str) or not value:
                raise self._wrong(node, name, "text")
            return value
        if isinstance(default, int) and not name.endswith("_months"):
            return self._whole(node, name, 0)
        number = self._number(node, name, 0)
        # 12 and 12.0 are one horizon and must give one hash.
        return int(number) if float(number).is_integer() else number

    def _primary(self, node: Any, questions: Sequence[str]) -> dict[str, tuple[Estimand, ...]]:
        """Return the primary estimates that are named."""
        if self._value(node) == AS_DESIGNED:
            return {}
        if node.id != "mapping":
            raise self._wrong(node, "primary", "designed")
        found: dict[str, tuple[Estimand, ...]] = {}
        for question, own in self._of_questions(node, "primary", questions).items():
            if self._value(own) == AS_DESIGNED:
                continue
            wanted = [self._estimand(each) for each in self._list(own, question)]
            if not wanted:
                raise self._wrong(own, question, "designed")
            found[question] = tuple(sorted(set(wanted)))
        return found

    def _estimand(self, node: Any) -> Estimand:
        """Return one primary estimate."""
        parts = self._mapping(node, "primary", ("contrast", "scale", "outcome", "adjustment"))
        if "contrast" not in parts:
            raise BipstudyError("runs.plan_missing_key", path=self.name, line=self._line(node), name="contrast")
        values = {name: self._text(part, name) for name, part in parts.items()}
        if "scale" in parts:
            self._one_of(parts["scale"], "scale", SCALES)
        return Estimand(**values)

    def _text(self, node: Any, name: str) -> str:
        """Return a word."""
        value = self._value(node)
        if not isinstance(value, str) or not value:
            raise self._wrong(node, name, "text")
        return value

    def _leave_out(self, node: Any) -> tuple[str, ...]:
        """Return the background variables that are not adjusted for."""
        return tuple(sorted({self._one_of(each, "leave_out", BACKGROUND) for each in self._list(node, "leave_out")}))

    def _smallest(self, node: Any) -> dict[str, float]:
        """Return the smallest effect of interest by scale."""
        given = {
            scale: float(
                self._number(value, scale, 1, "no_effect") if scale in RATIOS else self._number(value, scale, 0)
            )
            for scale, value in self._mapping(node, "smallest_effect", tuple(SMALLEST_EFFECT)).items()
        }
        return {**SMALLEST_EFFECT, **given}

    def _replications(self, node: Any) -> int:
        """Return the number of resamples."""
        if self._value(node) == 0:
            return 0
        return self._whole(node, "replications", LEAST_REPLICATIONS, "a_replicate")

    def _release(self, node: Any) -> int | None:
        """Return the number of a release, None for the newest."""
        if node.id == "scalar" and node.tag.endswith(":null"):
            return None
        return self._whole(node, "release", 1, "release")

    def _multiverse(self, node: Any) -> bool:
        """Return whether the multiverse is run."""
        value = self._yes_or_no(node, "multiverse")
        if value and not has_multiverse():
            raise BipstudyError("runs.plan_no_multiverse", path=self.name, line=self._line(node))
        return value

    def _yes_or_no(self, node: Any, name: str) -> bool:
        """Return a switch."""
        value = self._value(node)
        if not isinstance(value, bool):
            raise self._wrong(node, name, "yes_or_no")
        return value


class _WrongValue(BipstudyError):
    """A value that is not what was expected; what was expected is said in the language asked for."""

    def __init__(self, *, path: str, line: int, name: str, expected: str, values: Mapping[str, object]) -> None:
        super().__init__("runs.plan_wrong_value", path=path, line=line, name=name)
        self.expected = expected
        self.expected_values = values

    def message(self, language: str) -> str:
        """Return the sentence in one language."""
        expected = text(f"runs.expected.{self.expected}", language, **self.expected_values)
        return text(self.code, language, **{**self.values, "expected": expected})


def has_multiverse() -> bool:
    """Say whether this version can run a multiverse."""
    return importlib.util.find_spec("bipstudy.replication.multiverse_page") is not None


def _shared() -> tuple[str, ...]:
    """Return the names of the shared definitions."""
    return tuple(Plan().definitions)
