"""The definitions of a transition into work or study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from bipstudy.schema.codes import code_list
from bipstudy.schema.sources import folder, read_yaml
from bipstudy.texts import BipstudyError


@dataclass(frozen=True)
class Transition:
    """What counts as a transition.

    Attributes
    ----------
    name : str
        ``narrow``, ``primary`` or ``broad``.
    label : dict of str to str
        ``{"sv": ..., "en": ...}``.
    causes : dict of str to str
        Outcome status to its cause, ``work`` or ``study``; a status that is not here is never a transition.
    minimum_days : int
        Shortest spell, in days, that counts; 0 where any length does.
    counts_unknown_length : bool
        Whether a spell of unknown length counts; otherwise follow-up is censored at its start.
    """

    name: str
    label: dict[str, str]
    causes: dict[str, str]
    minimum_days: int
    counts_unknown_length: bool


@cache
def transition(name: str) -> Transition:
    """Return a definition by its name.

    Parameters
    ----------
    name : {"narrow", "primary", "broad"}

    Returns
    -------
    Transition

    Raises
    ------
    BipstudyError
        No such definition.

    Examples
    --------
    >>> transition("narrow").causes
    {'work_unsubsidised': 'work', 'self_employment': 'work'}
    """
    content = read_yaml(folder() / "codes" / "transitions.yaml")
    if name not in content["definitions"]:
        raise BipstudyError("schema.unknown_definition", name=name, known=", ".join(content["definitions"]))
    entry = content["definitions"][name]
    cause_of = {code.value: code.cause for code in code_list("outcome_status").codes}
    return Transition(
        name=name,
        label=entry["label"],
        causes={status: str(cause_of[status]) for status in entry["statuses"]},
        minimum_days=int(content["minimum_days"]) if entry["minimum_length"] else 0,
        counts_unknown_length=entry["unknown_length"] == "counted",
    )


@cache
def transition_names() -> tuple[str, ...]:
    """Return the names of the definitions, the strictest first."""
    return tuple(read_yaml(folder() / "codes" / "transitions.yaml")["definitions"])
