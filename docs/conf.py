"""Settings of Sphinx; `docs/build.py` runs it."""

from __future__ import annotations

project = "seisproc"
author = "the seisproc authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "seisproc"
myst_heading_anchors = 3
