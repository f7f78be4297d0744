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
# # The five insights, and how much caseworkers differ
#
# | | question | Danish finding |
# |---|---|---|
# | `insights` | which of the five insights goes most strongly with reaching work or study? | belief is called by far the most important; no size is published, so there is nothing to hold ours against |
# | `caseworkers` | how much do caseworkers differ, beyond chance? | R15: 23 against 7 per cent in job or education with the most and the least effective caseworkers |
#
# The five insights are those of the Swedish material: a job and study focus throughout, no gaps, parallel activities, the same caseworker, and belief. The study is simulated, the [Danish twin](../simulation/model.md), and **says nothing about Denmark or Sweden**.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip
from bipstudy.replication import agreement

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(participants=4000, seed=1, scenario="danish_twin")
insights = bip.analyses.insights(study)
Markdown(f"**{insights.question()}** {insights.estimand()}\n\n**Answer.** {insights.answer()}")

# %%
insights.figures["ratios"]

# %% [markdown]
# **How to read it.** All five are in one model. Each ratio compares the insight fully present with absent, the other four as they were. The five scales are not alike: a focus *throughout* is rare, a kept caseworker is common (`present` in the table), and the two highest belief
# answers against the two lowest is a contrast of people, not of what was done.

# %%
insights.table("insights")

# %%
insights.figures["shares"]

# %% [markdown]
# **How to read it.** General dominance shares out what the five say together. It answers *which predicts most*, and belief, a forecast by somebody who knows the participant, must be expected to win whatever the truth about practice: in this world it is built to foresee
# readiness, and the answer on the form acts on nothing. The difference between the first and the second, with its interval, is in the estimates:

# %%
insights.estimates.query("contrast == 'insight_first_less_second'")[
    ["contrast", "scale", "estimate", "conf_low", "conf_high", "n"]
]

# %%
Markdown("\n".join(f"- {note}" for note in insights.notes))

# %% [markdown]
# ## How much do caseworkers differ?
#
# Halves of caseworkers, sorted by their own result, *always* differ. With few participants each, they differ much where all caseworkers are equally good.

# %%
caseworkers = bip.analyses.caseworkers(study)
Markdown(f"**{caseworkers.question()}** {caseworkers.estimand()}\n\n**Answer.** {caseworkers.answer()}")

# %%
caseworkers.figures["curve"]

# %% [markdown]
# **How to read it.** Caseworkers in order of the share of their participants who reached work or study, and the curve that chance alone makes when the same participants are dealt out anew. Only what lies between the curves is more than chance. No caseworker can be told from the figure or from any table.

# %%
caseworkers.table("halves")

# %% [markdown]
# `by_caseload` says what chance makes of equally good caseworkers with so and so many participants each, at the share found here:

# %%
caseworkers.table("by_caseload")

# %%
met = agreement(caseworkers.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %% [markdown]
# The estimate that takes chance out is the standard deviation of the true effects. In this world, where all are known, it is

# %%
print(f"{100 * truth.caseworker_risk_sd:.1f} percentage points")

# %% [markdown]
# ### Would a ranking be worth anything?

# %%
caseworkers.table("ranking")

# %%
Markdown("\n".join(f"- {note}" for note in caseworkers.notes))
