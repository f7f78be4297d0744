# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Who takes part, and how many reach work or study
#
# Two questions come before all others. If the Swedish participants are other people than the Danish ones were, every later difference may be due to that; and an association with the transition
# is read against how common the transition is.
#
# The study here is simulated, the [Danish twin](../simulation/model.md), and smaller than the Danish one. **It says nothing about Denmark or Sweden**; put `bip.load_study("pool")` in its place for a real one.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip
from bipstudy.replication import agreement

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(participants=3000, seed=1, scenario="danish_twin")
study.summary().tail(3)

# %% [markdown]
# ## The participants

# %%
people = bip.analyses.participants(study)
Markdown(f"**{people.question()}** {people.estimand()}")

# %%
people.table("characteristics")

# %% [markdown]
# ### The Danish finding beside it
#
# The published shares have no intervals, and it is not published how all of them were counted. `reading` says how each is read; shares get a difference and no verdict.

# %%
met = agreement(people.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "ours", "conf_low", "conf_high", "difference", "reading"]]

# %%
people.figures["against_danish"]

# %% [markdown]
# **How to read it.** Each point is our share with its 95 per cent interval, each diamond the Danish share, which has none. The twin was built to meet most of these shares, so that agreement here is by construction.
#
# **What it cannot show** is in the notes of every analysis:

# %%
Markdown("\n".join(f"- {note}" for note in people.notes))

# %% [markdown]
# With few organisations, whether they differ is not tested by treating them as clusters. They are set side by side instead: the mean by random effects, the range in which a new organisation is expected to lie (`new_low`, `new_high`), and
# the share of the variation that is not chance (`i2`).

# %%
people.table("organisations")

# %% [markdown]
# ## The transition
#
# The *primary* definition counts unsubsidised and subsidised work, self-employment and qualifying studies of at least 28 days, from the first measurement on. `narrow` and `broad` stand beside it in the [codes](../reference/generated/codes.md).

# %%
reached = bip.analyses.transitions(study, outcome="primary", horizon_months=12)
Markdown(f"**{reached.question()}** {reached.estimand()}\n\n**Answer.** {reached.answer()}")

# %%
reached.figures["incidence"]

# %% [markdown]
# **How to read it.** The curve is the share that has made its first transition by each month. Death, retirement and permanent sickness benefit compete: those people cannot make it any more, and are not treated as if they still could. A Kaplan-Meier curve
# would do that, and lie too high.
#
# Who was lost is not counted as without transition. The bounds say how much that could matter at most:

# %%
reached.table("bounds")

# %% [markdown]
# The Danish base, 6 per cent in work within a year, is context only: the source does not say clearly whether it concerns the participants or everybody in the target group.

# %%
met = agreement(reached.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %% [markdown]
# The truth of the simulated world, which no real study has:

# %%
print(f"work or study {truth.risk_any:.3f}, work {truth.risk_work:.3f}")

# %% [markdown]
# ## Who was left out
#
# Every analysis counts it, and the steps add up.

# %%
from bipstudy.analyses.result import worded

worded(reached.flow, "en")

# %%
Markdown("\n".join(f"- {note}" for note in reached.notes))

# %% [markdown]
# ## Organisations beside each other
#
# A small organisation lands far from the rest by chance alone. The funnel shows within which limits 95 and 99.8 per cent of organisations of each size would lie, had they all the same risk.

# %%
reached.figures["funnel"]

# %% [markdown]
# ## By group
#
# Any analysis can be made for women and men, by age, region of birth or mental ill-health. The test that groups are alike is exploratory.

# %%
groups = bip.analyses.by_group("transitions", study, by="age_group")
groups.figures["groups"]

# %%
Markdown("\n".join(f"- {note}" for note in groups.notes))

# %% [markdown]
# ## With the Danish composition
#
# The people of another study are others. Weighted so that the published Danish shares hold, the same estimate tells how much of a difference is who they are. The twin has these shares already, so that little moves.

# %%
weighted = bip.analyses.standardised_to_danish(study, "transitions")
weighted.table("shares", "en")

# %%
weighted.table("populations", "en")

# %%
Markdown("\n".join(f"- {note}" for note in weighted.notes))
