"""Sphinx configuration: executed notebooks with live plotly figures and no outside request."""

project = "genomic_lens"
extensions = ["myst_nb"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": True}
html_static_path = ["_static"]
html_copy_source = html_show_sourcelink = False
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
# The README links to files of the repository, which are no pages of the site.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]

nb_execution_mode = "off"  # build.py has executed the notebooks
html_js_files = ["plotly.min.js"]  # once a site; build.py writes one Plotly.newPlot a figure
