"""How many people, caseworkers and months a Swedish study needs: power and precision by simulation."""

from bipstudy.planning.power import PowerResult, power
from bipstudy.planning.questions import question_names
from bipstudy.planning.sizes import Size, sizes

__all__ = ["PowerResult", "Size", "power", "question_names", "sizes"]
