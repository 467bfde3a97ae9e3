"""Build the documentation site: copy the notebooks, execute them, make their figures live, run Sphinx.

    python docs/build.py --out _docs [--no-execute]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat
import plotly
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PLOTLY = "application/vnd.plotly.v1+json"
CONTENTS = """
```{toctree}
:hidden:
:caption: %s
%s
```
"""


def figure_html(figure: dict, name: str) -> str:
    """A div and the call that draws a plotly figure in it."""
    height = figure["layout"].get("height") or 450
    body = json.dumps({"data": figure["data"], "layout": figure["layout"]}).replace("<", "\\u003c")
    draw = f'Plotly.newPlot("{name}", figure.data, figure.layout, {{responsive: true, displaylogo: false}})'
    return (
        f'<div id="{name}" style="height:{height}px"></div>'
        f"<script>(function () {{ const figure = {body}; {draw}; }})()</script>"
    )


def execute(notebook: Path) -> None:
    """Run a notebook, and put HTML where plotly left its own format, which Sphinx does not know."""
    content = nbformat.read(notebook, as_version=4)
    context = {"metadata": {"path": str(notebook.parent)}}
    nbclient.NotebookClient(content, timeout=900, kernel_name="python3", resources=context).execute()
    for cell in content.cells:
        for rank, output in enumerate(cell.get("outputs", [])):
            if PLOTLY in output.get("data", {}):
                output.data["text/html"] = figure_html(output.data.pop(PLOTLY), f"plot-{cell.id}-{rank}")
    nbformat.write(content, notebook)


def contents(source: Path) -> None:
    """Append the table of contents to the index page: tutorials first, then the modules in reading order."""
    groups = {"Tutorials": sorted(source.glob("tutorials/*.ipynb"))}
    modules = [page for page in sorted(source.rglob("*.ipynb")) if page.parent.name != "tutorials"]
    groups["Modules"] = [page for page in modules if page.name != "index.ipynb"]
    index = nbformat.read(source / "index.ipynb", as_version=4)
    for caption, pages in groups.items():
        names = "\n".join(str(page.relative_to(source).with_suffix("")) for page in pages)
        index.cells.append(nbformat.v4.new_markdown_cell(CONTENTS % (caption, names)))
    text = json.dumps(index).replace("../docs/images/", "images/")
    (source / "index.ipynb").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--no-execute", action="store_true", help="show the outputs that are stored")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "source")
        unwanted = shutil.ignore_patterns(".ipynb_checkpoints")
        shutil.copytree(ROOT / "nbs", source, ignore=unwanted)
        shutil.copytree(ROOT / "tutorials", source / "tutorials", ignore=unwanted)
        shutil.copytree(HERE / "images", source / "images")
        shutil.copy(HERE / "conf.py", source)
        (source / "_static").mkdir()
        shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", source / "_static")
        for notebook in tqdm([] if options.no_execute else sorted(source.rglob("*.ipynb")), desc="execute"):
            execute(notebook)
        contents(source)
        builder = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(source), str(options.out)]
        sys.exit(subprocess.run(builder).returncode)


if __name__ == "__main__":
    main()
