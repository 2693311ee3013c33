"""How the documentation is built: ``make docs``, result in ``build/docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.domain.product import product_version

project = "EMS Dash"
author = "EMS Dash contributors"
project_copyright = "EMS Dash contributors, Apache-2.0"
version = release = product_version()

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = []
nitpicky = True

# Headings are link targets; `path` links lead to files of the repository that are no pages.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "attrs_block"]

html_theme = "furo"
html_title = f"EMS Dash {release}"
html_favicon = "../assets/favicon.svg"
html_logo = "../assets/logo.svg"
html_copy_source = False
html_show_sourcelink = False
# Nothing is loaded from another host; a test looks for it.
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
