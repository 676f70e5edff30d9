"""The site: `make docs` builds it into docs/_build/html. Pages are read on the forge too: links are Markdown's own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / "_extensions")]

project = "ltm_pyro"
author = "The ltm_pyro developers"
copyright = "The ltm_pyro developers, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx-mathjax-offline"]
extensions += ["forge_links", "figure_sizes", "docstrings"]
if not tags.has("without_sources"):  # noqa: F821  (Sphinx defines it; half of the time goes into these pages)
    extensions += ["sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "notebooks/README.md", "notebooks/solutions"]
html_theme = "furo"
html_title = "ltm_pyro"
html_static_path = ["_static"]
html_css_files = ["own.css"]
html_theme_options = {"source_directory": "docs/"}
pygments_style, pygments_dark_style = "default", "monokai"
highlight_language = "sh"  # of blocks that name none: what is typed

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
python_use_unqualified_type_names = True
default_role = "code"
add_module_names = False


def setup(app):  # type: ignore[no-untyped-def]
    stored = HERE / "notebooks"
    shutil.rmtree(stored, ignore_errors=True)
    stored.mkdir()
    for notebook in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        shutil.copy(notebook, stored)
