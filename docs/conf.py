"""Sphinx configuration; the metadata comes from the installed package."""

from __future__ import annotations

from importlib import metadata

project = "oauthmail"
author = "the oauthmail developers"
project_copyright = f"2026, {author}"
release = metadata.version("oauthmail")
version = release

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# A word in single backquotes in a docstring is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# The parents' methods have their documentation in the standard library.
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "smtplib, imaplib and poplib that log in with OAuth"}
