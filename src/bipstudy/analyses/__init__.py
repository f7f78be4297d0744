"""One analysis per question of the Danish study, under the name of the question.

Each takes a study and gives a `Result`: estimates in fixed columns, tables, figures, who was left out, and what the
analysis cannot show.

Examples
--------
>>> import bipstudy as bip
>>> bip.analyses.list()
['participants', 'transitions', 'indicators', 'readiness', 'belief', 'continuity', 'activities',
 'progression', 'insights', 'caseworkers', 'measurement', 'training']
>>> result = bip.analyses.transitions(bip.load_example())
>>> result.estimates.columns[:3].tolist()
['analysis', 'term', 'contrast']
"""

from __future__ import annotations

import builtins

from bipstudy.analyses.activities import activities
from bipstudy.analyses.belief import belief
from bipstudy.analyses.caseworkers import caseworkers
from bipstudy.analyses.composition import standardised_to_danish
from bipstudy.analyses.continuity import continuity
from bipstudy.analyses.indicators import indicators
from bipstudy.analyses.insights import insights
from bipstudy.analyses.measurement import measurement
from bipstudy.analyses.participants import participants
from bipstudy.analyses.progression import progression
from bipstudy.analyses.readiness import readiness
from bipstudy.analyses.result import ESTIMATE_COLUMNS, FigureSpec, Result, Sentence
from bipstudy.analyses.subgroups import by_group
from bipstudy.analyses.training import training
from bipstudy.analyses.transitions import transitions

# Each function has the name of its module. All modules are imported above, so the names below stay bound to the
# functions: importing one of the modules later finds it loaded and does not bind its name again.
__all__ = [
    "ESTIMATE_COLUMNS",
    "FigureSpec",
    "Result",
    "Sentence",
    "activities",
    "belief",
    "by_group",
    "caseworkers",
    "continuity",
    "indicators",
    "insights",
    "list",
    "measurement",
    "participants",
    "progression",
    "readiness",
    "standardised_to_danish",
    "training",
    "transitions",
]

_ORDER = (
    "participants",
    "transitions",
    "indicators",
    "readiness",
    "belief",
    "continuity",
    "activities",
    "progression",
    "insights",
    "caseworkers",
    "measurement",
    "training",
)


def list() -> builtins.list[str]:
    """Return the names of the analyses, in the order of a report.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.list()[0]
    'participants'
    """
    return [*_ORDER]
