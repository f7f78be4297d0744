"""What may be asked of the panel: arguments are checked, nothing is guessed."""

from __future__ import annotations

from bipstudy import schema
from bipstudy.schema import Transition
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

ORIGINS = ("first_measurement", "entry")


def check_definition(study: Study, outcome: str) -> Transition:
    """Return the definition of a transition; BipstudyError if there is none or no outcomes were sent."""
    definition = schema.transition(outcome)
    if "outcomes" not in study.sent:
        raise BipstudyError("panel.no_outcomes")
    return definition


def check_number(name: str, value: object, *, least: float, whole: bool) -> None:
    """Refuse what is not a number, not whole where it must be, or too small."""
    allowed = (int,) if whole else (int, float)
    # nan fails the comparison; infinity has no last day.
    if isinstance(value, bool) or not isinstance(value, allowed) or not least <= value < 10_000:
        raise BipstudyError("panel.bad_number" if not whole else "panel.bad_days", name=name, least=f"{least:g}")


def check_origin(origin: str) -> None:
    """Refuse an unknown origin."""
    if origin not in ORIGINS:
        raise BipstudyError("panel.bad_origin", known=", ".join(ORIGINS))
