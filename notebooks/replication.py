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
# # The replication, rerun
#
# What an evaluator runs from top to bottom: a plan that is fixed first, a run, the agreement with the Danish study, and the check that the run gives the
# same numbers again. The study here is a small simulated one; put `bip.load_study("pool", release=1)` in its place for a real one.
# Nothing below says anything about Denmark or Sweden.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import bipstudy as bip
from bipstudy.replication import compare_runs, init_plan, read_plan, register_plan, verify

study = bip.load_example()
home = TemporaryDirectory()
folder = Path(home.name)
study.hash

# %% [markdown]
# ## The plan
#
# `init_plan` (on the command line `bipstudy plan init`) writes the default with comments. Whatever is in it takes effect, and what could have no effect is refused by
# its line.

# %%
print(init_plan(folder / "default.yaml", "en").read_text(encoding="utf-8")[:1500])

# %% [markdown]
# This notebook asks three of the questions, with the shortest plan that says so. Leave the list of questions whole for a real run.

# %%
path = folder / "plan.yaml"
path.write_text("version: 1\nquestions: [participants, transitions, continuity]\nseed: 11\n", encoding="utf-8")
plan = read_plan(path)
plan.as_dict()

# %% [markdown]
# Registering fixes what the plan says, and when, in a file beside it. Keep the hash somewhere else too: who holds the file could change it.

# %%
registration = register_plan(path)
registration.plan_hash

# %% [markdown]
# ## The run
#
# Stopped at any moment and started again, it goes on where it was and gives the same bytes.

# %%
run = bip.replicate(study, path, folder / "run", language="en")
sorted(entry.relative_to(folder / "run").as_posix() for entry in (folder / "run").rglob("*.*"))

# %% [markdown]
# What was planned, and what came of it:

# %%
run.planned[["analysis", "contrast", "scale", "outcome", "status", "estimate", "conf_low", "conf_high"]]

# %% [markdown]
# Deviations from the registered plan; there are none, since nothing was changed after it was registered:

# %%
run.deviations

# %% [markdown]
# ## Agreement with the Danish study
#
# `bootstrap_share` is the share of resamples of caseworkers that are at least as large as the Danish value, or at least as small where that is a decrease. It describes and tests nothing.

# %%
met = run.agreement.dropna(subset=["ours"])
met[["benchmark", "label", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict", "bootstrap_share"]]

# %%
run.bootstrap[["contrast", "outcome", "estimate", "std_error", "low", "high", "replications", "failed"]]

# %% [markdown]
# ## The same numbers again
#
# `verify` makes the run anew from its own plan and compares every number: identical, within a relative 1e-8, or different.

# %%
again = verify(folder / "run", study)
again.same, again.counts

# %% [markdown]
# ## Another plan
#
# A longer horizon is a deviation, and is listed. `compare_runs` says what changed, and by how much each number moved.

# %%
path.write_text(
    "version: 1\nquestions: [participants, transitions, continuity]\nseed: 11\ndefinitions: {horizon_months: 18}\n",
    encoding="utf-8",
)
longer = bip.replicate(study, path, folder / "longer", language="en")
longer.deviations

# %%
difference = compare_runs(folder / "run", folder / "longer")
print(difference.changed)
difference.cells.query("file == 'estimates.csv' and column == 'estimate'").head()

# %%
home.cleanup()
