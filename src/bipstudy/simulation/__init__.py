"""Studies whose truth is known: a causal model drawn at any size, with its parameters in a file."""

from bipstudy.simulation.scenario import Scenario, scenario, scenario_names
from bipstudy.simulation.study import Truth, load_example, simulate_study

__all__ = ["Scenario", "Truth", "load_example", "scenario", "scenario_names", "simulate_study"]
