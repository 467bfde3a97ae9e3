"""Sphinx configuration: notebooks, docstrings, and no outside request."""

import sys
from configparser import ConfigParser
from pathlib import Path

import plotly

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
settings = ConfigParser(delimiters=["="])
settings.read(HERE.parent / "settings.ini", encoding="utf-8")
metadata = settings["DEFAULT"]

project, author, copyright = metadata["lib_name"], metadata["author"], metadata["copyright"]
version = release = metadata["version"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "site_extension"]
html_math_renderer = "mathml"
default_role = "py:name"
smartquotes_action = "D"  # dashes only: 5' and 3' are ends of a strand

myst_enable_extensions = ["dollarmath", "colon_fence"]
nb_execution_mode = "off"  # build.py has executed the notebooks
nb_ipywidgets_js = {}  # widgets need a kernel; their scripts would come from elsewhere

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 140
autosummary_generate = False
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_param = napoleon_use_rtype = False  # types are words such as "(length, 4) array", not names

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "logo": {"text": project},
    "navbar_align": "left",
    "show_toc_level": 2,
    "show_version_warning_banner": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_title = project
html_context = {"default_mode": "auto"}
html_sidebars = dict.fromkeys(["index", "experiments", "hyenadna", "CONTRIBUTING", "tutorials/90_gallery"], [])
html_static_path = ["static", str(Path(plotly.__file__).parent / "package_data" / "plotly.min.js")]
html_copy_source = html_show_sourcelink = False
