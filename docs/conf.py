"""How Sphinx builds these pages: no network, warnings are errors (``make docs``)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))

from liveconfig._distribution import __version__  # noqa: E402 - the path has to be set first

ON_THE_INDEX: str | None = None
"""The name of the distribution once the package index has it. Until then the pages install from a clone."""


def setup(app: Any) -> None:
    """Connect what changes the text of a page before it is parsed."""
    app.connect("source-read", _name_the_distribution)


def _name_the_distribution(app: Any, page: str, source: list[str]) -> None:  # noqa: ARG001 - Sphinx passes three
    if ON_THE_INDEX:
        clone = r"""(pip install ["']?)(?:\.|\./liveconfig)(?=[\["'\s])"""
        source[0] = re.sub(clone, rf"\g<1>{ON_THE_INDEX}", source[0])


project = "liveconfig"
author = project_copyright = "The liveconfig authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
# No intersphinx, which would need the network; so names of pydantic and typing are not links, and not missed.
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "py:obj"  # `Change` in a docstring is a link where there is something to link to
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # the attributes of a record as one list

html_theme = "furo"
html_title = f"liveconfig {release}"
html_static_path = ["_static"]
html_css_files = ["liveconfig.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
