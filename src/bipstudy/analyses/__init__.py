"""One analysis per question of the Danish study."""

from bipstudy.analyses.belief import belief
from bipstudy.analyses.indicators import indicators
from bipstudy.analyses.participants import participants
from bipstudy.analyses.transitions import transitions
