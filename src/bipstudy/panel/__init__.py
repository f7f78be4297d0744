"""Occasions, exposures and transitions of a study as rows for the models; the order of time is guaranteed here."""

from bipstudy.panel.assembly import BACKGROUND
from bipstudy.panel.checks import ORIGINS
from bipstudy.panel.episodes import build_episodes
from bipstudy.panel.first_measurements import first_measurements
from bipstudy.panel.flow import describe_flow
from bipstudy.panel.occasion_panel import build_panel
from bipstudy.panel.occasions import answer_columns
from bipstudy.panel.outcomes import CAUSES
from bipstudy.panel.states import build_states

__all__ = [
    "BACKGROUND",
    "CAUSES",
    "ORIGINS",
    "answer_columns",
    "build_episodes",
    "build_panel",
    "build_states",
    "describe_flow",
    "first_measurements",
]
