"""The primary estimates of every analysis in little time, for whoever needs them of many studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

# The names of the functions hide the modules of the same names in the package.
from bipstudy.analyses.activities import primaries as _activities
from bipstudy.analyses.belief import primaries as _belief
from bipstudy.analyses.caseworkers import primaries as _caseworkers
from bipstudy.analyses.continuity import primaries as _continuity
from bipstudy.analyses.estimating import Label, Number, estimates
from bipstudy.analyses.indicators import primaries as _indicators
from bipstudy.analyses.insights import primaries as _insights
from bipstudy.analyses.measurement import primaries as _measurement
from bipstudy.analyses.participants import primaries as _participants
from bipstudy.analyses.progression import primaries as _progression
from bipstudy.analyses.readiness import primaries as _readiness
from bipstudy.analyses.training import primaries as _training
from bipstudy.analyses.transitions import primaries as _transitions
from bipstudy.panel import build_episodes, build_panel
from bipstudy.panel.assembly import parts_kept
from bipstudy.study import Study

__all__ = ["ANALYSES", "headlines"]

Rows = list[tuple[Label, Number]]

_OF_STUDY: dict[str, Callable[[Study], Rows]] = {
    "participants": _participants,
    "transitions": _transitions,
    "progression": _progression,
    "caseworkers": _caseworkers,
    "measurement": _measurement,
    "training": _training,
}
_OF_PANEL: dict[str, Callable[[Study, pd.DataFrame], Rows]] = {
    "indicators": _indicators,
    "readiness": _readiness,
    "belief": _belief,
    "activities": _activities,
}
_OF_EPISODES: dict[str, Callable[[Study, pd.DataFrame], Rows]] = {"continuity": _continuity, "insights": _insights}
ANALYSES = (*_OF_STUDY, *_OF_PANEL, *_OF_EPISODES)


def headlines(study: Study, names: Iterable[str] = ANALYSES) -> pd.DataFrame:
    """Return the primary estimates of analyses, with the definitions that they have by default.

    Every number is that of the whole analysis, without the secondary estimates, tables and figures. Beside them stand
    the estimates that R2a, R2b and R3 are held against, and Anderson and Rubin's interval.

    Parameters
    ----------
    study : Study
    names : iterable of str
        Of `ANALYSES`; all by default.

    Returns
    -------
    DataFrame
        Columns as in ``result.estimates``.

    Examples
    --------
    >>> import bipstudy as bip
    >>> headlines(bip.load_example(), ["transitions"])["contrast"].tolist()
    ['everyone']
    """
    with parts_kept():
        return _headlines(study, [*names])


def _headlines(study: Study, wanted: list[str]) -> pd.DataFrame:
    """Return the primary estimates; the study is read once for all of them."""
    panel = build_panel(study) if set(wanted) & set(_OF_PANEL) else None
    episodes = build_episodes(study) if set(wanted) & set(_OF_EPISODES) else None
    rows: Rows = []
    for name in wanted:
        if name in _OF_STUDY:
            rows += _OF_STUDY[name](study)
        elif name in _OF_PANEL and panel is not None:
            rows += _OF_PANEL[name](study, panel)
        elif episodes is not None:
            rows += _OF_EPISODES[name](study, episodes)
    return estimates(rows)
