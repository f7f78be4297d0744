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
# # Quick start
#
# From a study to an answer. The study here is a small simulated one, so that the notebook runs anywhere; put
# `bip.load_study("pool", release=1)` in its place for a real one. Nothing below says anything about Denmark or Sweden.

# %%
import bipstudy as bip

study = bip.load_example()
study.summary()

# %% [markdown]
# ## The tables
#
# A study is nine tables, all canonical: ids and codes are text, a date known only to the month stores its first day and says so in
# the column beside it.

# %%
study.participants.head()

# %%
study.measurements.head()

# %% [markdown]
# `where` keeps the participants that a condition holds for, and what belongs to them in every other table.

# %%
young = study.where("age_group == '16-24'")
len(young.participants), len(study.participants)

# %% [markdown]
# ## The panel
#
# One row per participant and occasion. Items are on a scale of 0 to 100, `p_` answered by the participant and `c_` by the caseworker.
# `y` is 1 for a transition into work or study after the wash-out and within the horizon, and empty where follow-up ended before that could be known.

# %%
panel = bip.build_panel(study, outcome="primary", horizon_months=12, washout_days=30)
panel[["participant", "occasion", "answered_on", "p_job_search", "belief", "changes_so_far", "activity", "y"]].head()

# %% [markdown]
# Who was left out on the way, and why:

# %%
import pandas as pd

pd.DataFrame(panel.attrs["flow"])

# %% [markdown]
# ## An answer
#
# Each question of the Danish study is one function. This one asks whether a change of caseworker goes with the transition. A study as small as this one cannot answer every question: what could not be estimated is missing, and `result.notes` says why.

# %%
result = bip.analyses.continuity(study)
result.answer("en")

# %%
result.estimates[
    ["term", "contrast", "scale", "adjustment", "role", "estimate", "conf_low", "conf_high", "n", "events"]
]

# %% [markdown]
# ## An estimator of your own choice
#
# The estimators know nothing of BIP and take any frame. Every fit has `.tidy()` and `.glance()`; the glance says in words how the errors were made.

# %%
from bipstudy import models

episodes = bip.build_episodes(study, step_months=3)
fit = models.discrete_hazard(episodes, "event ~ belief + C(period)", cluster="participant")
fit.tidy()

# %%
fit.glance().T

# %% [markdown]
# ## The whole replication
#
# `bip.replicate` reruns every analysis and sets each answer beside the Danish finding. With `out="report"` it writes the report and the files that an evaluator compares.

# %%
run = bip.replicate(study)
run.agreement[["benchmark", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict"]]
