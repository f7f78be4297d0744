"""Studies whose truth is known: a causal model drawn at any size, with its parameters in a file."""

from bipstudy.simulation.exports import write_raw
from bipstudy.simulation.scenario import Scenario, scenario, scenario_names
from bipstudy.simulation.study import load_example, simulate_study
from bipstudy.simulation.truth import Truth

__all__ = ["Scenario", "Truth", "load_example", "scenario", "scenario_names", "simulate_study", "write_raw"]
