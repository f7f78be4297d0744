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
# # The same caseworker, and activities
#
# | | question | Danish finding |
# |---|---|---|
# | `continuity` | does a change of caseworker go with reaching work? | R3: 22 per cent lower job chance; R4: 40 per cent had at least one change |
# | `activities` | do activities go with progression and the transition? | R9: 25 per cent had none; R10: a decline or at best a standstill without one; R11: progression with a job-focused one; R12: more if another runs beside it; R13: none with skills, social or health activities alone |
#
# Of R10 to R13 only directions are published. Whether the 22 per cent are a ratio of risks or of hazards, and over which time, is not. The study is simulated, the [Danish twin](../simulation/model.md), and **says nothing about Denmark or Sweden**.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip
from bipstudy.replication import agreement

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(participants=4000, seed=1, scenario="danish_twin")

# %% [markdown]
# ## A change is an event in time
#
# Who is followed longer has more time to change caseworker, and who finds work early is followed no longer. People who *ever* changed can therefore not be compared with people who *never* did
# ([why](02_reading_the_danish_numbers.ipynb)). Quarters are compared instead: each is with or without an earlier change, as of the wash-out before it began.

# %%
continuity = bip.analyses.continuity(study)
Markdown(f"**{continuity.question()}** {continuity.estimand()}\n\n**Answer.** {continuity.answer()}")

# %%
continuity.table("exposure")

# %%
continuity.figures["hazard_ratios"]

# %% [markdown]
# **How to read it.** Below 1: the transition comes at a lower rate in the quarters after a first change. The interval allows for quarters of the same participant, and for participants of the same caseworker, going together. In this world

# %%
print(f"each participant's own rate falls to {truth.change_hazard_ratio:.2f} of what it was")

# %% [markdown]
# An analysis by quarters should find less: 0.84 for work or study and 0.86 for work in [large draws of this scenario](../simulation/model.md), because the ready leave first and because a change is counted only from the quarter
# that begins after the wash-out ([Order of time](../method/time.md)).

# %%
met = agreement(continuity.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %% [markdown]
# ### Why did the caseworker change?
#
# Some changes are steps of a programme, or asked for. A caseworker who leaves everybody within 30 days did not choose whom to leave. Around such *departures* the same people can be followed before and after:

# %%
continuity.figures["departures"]

# %% [markdown]
# **How to read it.** Differences from the quarter just before the departure, among those still there. The quarters *before* are the check: what comes later cannot act on what came earlier, so that they should lie around zero. If they do not, the quarters after mean
# nothing. The transition itself has no such check: who has made it is no longer there to change.

# %%
continuity.figures["beside"]

# %%
Markdown("\n".join(f"- {note}" for note in continuity.notes))

# %% [markdown]
# ## Activities
#
# An activity counts for what happens *after* the interval in which it ran. What it was is read day by day: parallel means at least 14 days' overlap.

# %%
activities = bip.analyses.activities(study)
Markdown(f"**{activities.question()}** {activities.estimand()}\n\n**Answer.** {activities.answer()}")

# %%
activities.figures["progression"]

# %%
activities.figures["transition"]

# %% [markdown]
# **How to read them.** Both compare intervals with a kind of activity with intervals without any, among people with the same background, time in the programme, level of answers and health answer. The first is about answers, seen only among those who answer again; the second about work or study.
# They need not agree: an activity also takes time that could go to looking for work.

# %%
activities.table("by_activity")

# %%
met = agreement(activities.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %% [markdown]
# Where only a direction is published, `danish` is empty and `danish_direction` says which.
#
# For R13 the Danish finding is *none*, and an interval that contains zero is not evidence of none: it is consistent only if it lies wholly within the smallest difference of interest, which the [plan](../guides/evaluator.md) sets.
#
# Who gets an activity, and which, is selective: the health answer decides much of it. How strong an unmeasured reason would have to be:

# %%
activities.table("sensitivity")

# %%
Markdown("\n".join(f"- {note}" for note in activities.notes))
