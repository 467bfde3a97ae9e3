"""What becomes of a notebook on the site: executed where that is needed, its figures live, its build marks gone."""

import ast
import html
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbclient
import nbformat
from nbformat import NotebookNode
from tqdm import tqdm

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
MARK = re.compile(r"^#\| *(\w+).*\n?", re.MULTILINE)
UNSEEN = {"default_exp", "hide"}  # cells with these marks carry nothing for a reader
UNRUN = {"slow", "gpu"}  # nor does the build run these; their stored outputs are shown


def marks(cell: NotebookNode) -> set[str]:
    """The `#|` marks of a code cell."""
    return set(MARK.findall(cell.source)) if cell.cell_type == "code" else set()


def lost_figure(cell: NotebookNode) -> bool:
    """Whether a cell ends in a value that is not stored: `tools/nb.py` drops live figures."""
    if cell.cell_type != "code" or cell.outputs or cell.source.rstrip().endswith(";") or marks(cell) - UNRUN:
        return False
    body = ast.parse(re.sub(r"^([ \t]*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)).body
    return bool(body) and isinstance(body[-1], ast.Expr)


def needs_run(notebook: Path) -> bool:
    """Tutorials always run; a module's notebook runs if its stored outputs lack a figure."""
    return notebook.parent.name == "tutorials" or any(map(lost_figure, nbformat.read(notebook, as_version=4).cells))


def execute(notebook: Path) -> None:
    """Run a notebook in its own folder; a failing cell ends the build."""
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        cell.metadata["tags"] = ["skip-execution"] if marks(cell) & UNRUN else []
    context = {"metadata": {"path": str(notebook.parent)}}
    nbclient.NotebookClient(content, timeout=900, kernel_name="python3", resources=context).execute()
    nbformat.write(content, notebook)


def execute_all(notebooks: list[Path], processes: int = 2) -> None:
    """Run notebooks side by side, each in a kernel of its own."""
    with ThreadPoolExecutor(processes) as pool:
        jobs = {pool.submit(execute, notebook): notebook for notebook in notebooks}
        for job in tqdm(as_completed(jobs), desc="execute", total=len(jobs), unit="notebook"):
            if error := job.exception():
                pool.shutdown(cancel_futures=True)
                sys.exit(f"{jobs[job].name} fails: {error}")


def figure_html(figure: dict) -> str:
    """A box that `static/figures.js` draws a plotly figure in."""
    layout = figure["layout"]
    alt = html.escape(layout.get("meta", {}).get("alt", "An interactive figure."), quote=True)
    body = json.dumps({"data": figure["data"], "layout": layout}).replace("<", "\\u003c")
    style = f"height:{layout.get('height') or 450}px"
    script = f'<script type="application/json">{body}</script>'
    return f'<div class="live-figure" role="figure" aria-label="{alt}" style="{style}">{script}</div>'


def shown(output: NotebookNode) -> bool:
    """Make a figure live; False for progress bars and for what needs a kernel."""
    data = output.get("data", {})
    if PLOTLY in data:
        output.data = data = NotebookNode({"text/html": figure_html(data[PLOTLY])})
    widget = data.pop(WIDGET, None)
    return output.get("name") != "stderr" and not (widget and set(data) <= {"text/plain"})


def prepare(notebook: Path) -> None:
    """Write a notebook as Sphinx shall see it; the style sheet tells exported cells from examples by their tag."""
    content = nbformat.read(notebook, as_version=4)
    content.cells = [cell for cell in content.cells if cell.source.strip() and not marks(cell) & UNSEEN]
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.metadata = NotebookNode(tags=["exported"] if "export" in marks(cell) else [])
            cell.source = MARK.sub("", cell.source)
            cell.outputs = [output for output in cell.outputs if shown(output)]
    content.metadata.pop("widgets", None)
    nbformat.write(content, notebook)
