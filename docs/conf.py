"""The site: `make docs` builds it into docs/_build/html. Pages are read on the forge too: links are Markdown's own."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

project = "ltm_pyro"
author = "The ltm_pyro developers"
copyright = "The ltm_pyro developers, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx-mathjax-offline"]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "notebooks/README.md", "notebooks/solutions"]
html_theme = "furo"
html_title = "ltm_pyro"
html_static_path = ["_static"]
html_css_files = ["own.css"]
html_theme_options = {"source_directory": "docs/"}
pygments_style, pygments_dark_style = "friendly", "monokai"

myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # stored outputs are shown; tests/notebooks runs them
suppress_warnings = ["myst.header"]  # pages that are included begin below the top

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_use_rtype = False
napoleon_use_ivar = True
default_role = "code"
add_module_names = False

REPOSITORY_FILES = re.compile(r"\]\((?:\.\./)*((?:CONTRIBUTING|CHANGELOG|README|CITATION)\.\w+)((?:#[\w-]+)?)\)")
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "tour.md"}


def _with_own_links(app: object, relative: object, parent: str, content: list[str]) -> None:
    """README, CONTRIBUTING and CHANGELOG are pages here, and what they call docs/ is this folder."""
    text = REPOSITORY_FILES.sub(lambda m: f"]({PAGES[m[1]]}{m[2]})" if m[1] in PAGES else f"`{m[1]}`", content[0])
    text = re.sub(r"\]\((?:\.\./)*docs/", "](", text)
    text = re.sub(
        r"(?<!!)\[`?([^\]`]+)`?\]\((?:\.\./)*benchmarks/[\w./-]*(?:/|\.md)(?:#[\w-]+)?\)", r"`\1`", text
    )  # are no pages here
    content[0] = re.sub(r"\]\((?:\.\./)*notebooks/?(?:README\.md)?\)", "](notebooks.md)", text)


def _without_stars(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """`(*batch, T)` is a shape and no emphasis."""
    lines[:] = [re.sub(r"(?<![\w*`:])\*(?=[\w.]+[,)\s])", r"\\*", line) for line in lines]


def setup(app):  # type: ignore[no-untyped-def]
    stored = HERE / "notebooks"
    shutil.rmtree(stored, ignore_errors=True)
    stored.mkdir()
    for notebook in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        shutil.copy(notebook, stored)
    app.connect("autodoc-process-docstring", _without_stars)
    app.connect("include-read", _with_own_links)
    app.connect("source-read", lambda app, name, content: _with_own_links(app, None, name, content))
