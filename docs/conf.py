"""Configuration of the documentation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402
from docutils import nodes  # noqa: E402
from docutils.utils.math import latex2mathml  # noqa: E402

import bipstudy  # noqa: E402

project = "bipstudy"
author = "The bipstudy authors"
copyright = "2026, the bipstudy authors"
version = release = bipstudy.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "jupyter_execute", "**.ipynb_checkpoints", "**/replicates"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "bipstudy"
html_show_sourcelink = False
# Pages that are served as they are: the dated certificates, each a folder that `bipstudy certify --out` wrote.
html_extra_path = ["extra"]
# The pages work without a network: no font and no script comes from elsewhere.
html_theme_options = {"icon_links": [], "show_prev_next": True, "navbar_end": ["theme-switcher"]}
html_math_renderer = "mathml"

# Pages that are the data themselves, and the notebooks, which live at the top of the repository.
generate.write_all(HERE / "reference" / "generated")
generate.write_certificates(HERE / "extra" / "certificates", HERE / "reference" / "generated" / "certificates.txt")
shutil.copytree(
    HERE.parent / "notebooks", HERE / "notebooks", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", ".*")
)
for page in ("CHANGELOG.md", "GLOSSARY.md", "CONTRIBUTING.md"):
    shutil.copy(HERE.parent / page, HERE / page.lower())


def _inline(translator, node):
    """Write an equation as MathML, which needs no script and no network."""
    translator.body.append(_mathml(node.astext(), display=False))
    raise nodes.SkipNode


def _block(translator, node):
    """Write an equation on its own line."""
    translator.body.append(f'<div class="math">{_mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def _mathml(equation: str, *, display: bool) -> str:
    """Return an equation written in LaTeX as MathML."""
    return latex2mathml.tex2mathml(equation.replace(r"\dots", r"\ldots"), as_block=display)


def setup(app) -> None:
    """Register the writer of equations."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
