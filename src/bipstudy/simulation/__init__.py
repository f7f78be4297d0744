"""Studies whose truth is known: a causal model drawn at any size, with its parameters in a file."""

from bipstudy.simulation.defects import Defect, Planted, defects, plant, sprinkle
from bipstudy.simulation.dummy import dummy_data
from bipstudy.simulation.exports import write_raw
from bipstudy.simulation.scenario import Scenario, scenario, scenario_names
from bipstudy.simulation.study import load_example, simulate_study
from bipstudy.simulation.truth import Truth

__all__ = [
    "Defect",
    "Planted",
    "Scenario",
    "Truth",
    "defects",
    "dummy_data",
    "load_example",
    "plant",
    "scenario",
    "scenario_names",
    "simulate_study",
    "sprinkle",
    "write_raw",
]
