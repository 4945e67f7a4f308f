"""How the docs site is built: `make docs`.

The root is the source folder, so that a link between any two documents of the repository works here as it does in the
repository itself, and a broken one fails the build.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

project = "sparkclin"
author = "the sparkclin authors"
copyright = "the sparkclin authors, Apache-2.0"  # Sphinx's name
root_doc = "docs/index"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton", "docsite.extension"]
include_patterns = [
    "docs/**",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "sparkclin/demo/SOURCE.md",
    "training/README.md",
]
exclude_patterns = [".*", "**/.*", "build", "dist", "out", "**/__pycache__", "tests", "export", "benchmarks/results"]

# Every link to a page and to a heading in it is resolved, or the build fails (-W).
nitpicky = True
myst_heading_anchors = 4
nb_execution_mode = "off"  # `make notebooks` runs them; here their outputs are shown
myst_enable_extensions = ["deflist"]
suppress_warnings = [
    "myst.header",  # a generated part may begin at any level
    "misc.highlighting_failure",  # a cell of a notebook may be of the shell
]
highlight_language = "none"  # a block without a name is a command
smartquotes = False  # `--input` has two hyphens

# Docstrings say code in single backticks.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_default_options = {"undoc-members": False}
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages have no page here

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_root"]  # so that build/docs/index.html leads to the first page
html_title = "sparkclin"
html_theme_options = {"navigation_with_keys": True, "footer_icons": []}
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp"
