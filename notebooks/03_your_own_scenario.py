# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A scenario of your own
#
# Before the data arrive, an analysis can be tried on a world that you describe yourself. A scenario is a YAML file that names a base and says what differs; every parameter stands, with its
# meaning, in `danish_twin.yaml`, and the model in [The simulated study](../simulation/model.md).
#
# Suppose your organisations are small, caseworkers leave often, and you wonder whether the number of changes would drown what a change does.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
own = folder / "frequent_changes.yaml"
own.write_text(
    """
base: swedish_pilot
name: frequent_changes
design:
  participants: 3000
  organisations: 4
caseworkers:
  departure_rate: 0.05   # one caseworker in twenty leaves each quarter
  change_rate: 0.08
events:
  change_hazard_ratio: 0.6
"""
)

# %% [markdown]
# A parameter that does not exist, or lies outside its range, is refused with its name:

# %%
import bipstudy as bip
from bipstudy.texts import BipstudyError

misspelt = folder / "misspelt.yaml"
misspelt.write_text("base: swedish_pilot\ncaseworkers:\n  leaving_rate: 0.05\n")
try:
    bip.simulate_study(scenario=misspelt)
except BipstudyError as error:
    print(error.message("en"))

# %% [markdown]
# ## Draw it, and look at what is true

# %%
study, truth = bip.simulate_study(seed=1, scenario=own)
study.summary()

# %%
print(f"hazard ratio for each participant        {truth.change_hazard_ratio:.2f}")
print(f"what an analysis by quarters should find {truth.change_hazard_ratio_lagged:.2f}")

# %% [markdown]
# The second number is the one to compare an analysis with: see why in [Reading the Danish numbers](02_reading_the_danish_numbers.ipynb).
#
# ## Run an analysis on it

# %%
result = bip.analyses.continuity(study)
result.primary()[["contrast", "scale", "estimate", "conf_low", "conf_high", "n", "events"]]

# %% [markdown]
# One study is one draw. How often would a study like this show the effect? A handful of replicates is enough to see how it works; take hundreds for an answer.

# %%
plan = bip.planning.power(
    "continuity",
    base=own,
    effects=[0.6],
    organisations=4,
    caseworkers=100,
    participants_per_caseworker=[8, 16],
    replicates=6,
)
plan.table[["participants", "replicates", "assumed", "true", "mean", "width", "power", "power_error"]].round(2)

# %% [markdown]
# ## The same world as messy files
#
# `bipstudy simulate --raw` writes a study as organisations would send it, so that the whole road from files to report can be tried. In Python:

# %%
from bipstudy.simulation import write_raw

folders = write_raw(study, folder / "raw", seed=1)
[folder.name for folder in folders], sorted(path.name for path in folders[0].iterdir())
