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
# # Validating a submission
#
# From the files of an organisation to a receipt, seen from the researcher's side; the organisation itself reads [Lämna data](../guides/steward.md), in Swedish, and uses `bipstudy validate`.
#
# **The question** is what a number in the study rests on: whether a cell was read as it was meant, whether it can be true beside the other cells, and where it came from. The files here are written by the simulator and then spoilt on purpose, so that what is wrong is
# known.

# %%
import os
import tempfile
from pathlib import Path

import pandas as pd

import bipstudy as bip
from bipstudy.simulation import sprinkle, write_raw

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # reports in English; Swedish without this line
pd.set_option("display.max_colwidth", None)

home = tempfile.TemporaryDirectory()
folder = Path(home.name)
study = bip.load_example()
raw = write_raw(study, folder / "raw", seed=1, first_style=1)
sorted(path.name for path in raw[0].iterdir())

# %% [markdown]
# This office writes semicolons, decimal commas, Windows-1252 and Swedish headings. Other offices send the Excel template, UTF-8, or a zip archive; xls, ods, SPSS, Stata and Parquet are read too. Columns and values with names of their own are described in a mapping, of which `bipstudy map` writes a draft.
#
# ## Something goes wrong

# %%
planted = sprinkle(folder / "raw", rate=0.01, seed=2)
mine = [each for each in planted if each.file.startswith("ORG01")]
pd.DataFrame(
    {
        "defect": [each.defect for each in mine],
        "file": [Path(each.file).name for each in mine],
        "row": [each.row for each in mine],
    }
)

# %% [markdown]
# ## Read and checked

# %%
submission = bip.load_submission(raw[0])
report = bip.validate(submission)
report.ok

# %%
print(report.summary())

# %% [markdown]
# **How to read it.** Errors stop the submission; warnings and notes do not. A rule that could not be asked (two dates in the same month have no order) is *unchecked*, which is not the same as passed. Counts are complete, however many findings there are.
#
# Each finding has its place, as a person sees it in Excel, and says what to do. The content of the cell is never repeated: it may be somebody's identity number.

# %%
errors = report.findings.query("severity == 'error'")
errors[["code", "file", "row", "column", "message", "cure"]].head(8)

# %% [markdown]
# Was everything found that was planted?

# %%
found = set(zip(report.findings["code"], report.findings["file"], report.findings["row"], strict=True))
missed = [each for each in mine if (each.code, Path(each.file).name, each.row) not in found]
len(mine), len(missed)

# %% [markdown]
# **What validation cannot show.** Every planted defect is one that some rule can see. A wrong answer that could have been right, such as a 4 in place of a 2, or somebody else's number, is seen by none. That a submission is accepted means that nothing in it contradicts itself, not that it is true.
#
# ## Where a cell came from
#
# Each row knows its file, sheet and row:

# %%
submission.provenance["participants"].head(3)

# %% [markdown]
# ## How easily can somebody be recognised?
#
# No direct identifier found does not mean that nobody can be recognised. Nearly everyone is alone in their background values together:

# %%
report.risk.classes

# %% [markdown]
# `reading` is *own* where an unknown value counts as a value of its own, *any* where it might be any of them; `below_5` counts participants in groups smaller than five. The data are pseudonymised, not anonymous.
#
# ## What the organisation decides itself
#
# A finding may be right and yet be accepted: with the rule, a reason and a date. It stays in the report, with the reason, and no more counts against the submission. Some rules can never be accepted.

# %%
exceptions = folder / "exceptions.yaml"
exceptions.write_text(
    """
exceptions:
  - rule: interval-far-from-three-months
    table: measurements
    reason: The organisation measured every fourth month during its first year.
    date: 2026-03-01
""",
    encoding="utf-8",
)
accepted = bip.validate(submission, exceptions=exceptions)
report.counts(), accepted.counts()

# %% [markdown]
# ## Mended
#
# Here mending means writing the files again without defects. In an office it means looking up each row, which a marked copy of the own file (`bipstudy validate --marked`) makes easier.

# %%
mended = write_raw(study, folder / "mended", seed=1, first_style=1)
again = bip.validate(bip.load_submission(mended[0]))
again.ok, again.counts()

# %% [markdown]
# The report as a page or a workbook, to send back:

# %%
again.to_html(folder / "report.html")
again.to_excel(folder / "report.xlsx")

# %% [markdown]
# ## Into the pool, or not
#
# What does not pass is refused, and the pool is left as it was:

# %%
from bipstudy.texts import BipstudyError

pool = bip.Pool(folder / "pool")
try:
    pool.add(submission)
except BipstudyError as refused:
    print(refused.message("en"))

# %%
receipt = pool.add(bip.load_submission(mended[0]))
receipt.hash[:12], receipt.rows

# %%
for other in mended[1:]:
    pool.add(bip.load_submission(other))
pool.release("first release")
pooled = bip.load_study(folder / "pool", release=1)
pooled.summary()

# %% [markdown]
# Reading the files gave back the tables that were written: the hashes of the content are the same.

# %%
pooled.hash, study.hash

# %%
home.cleanup()
