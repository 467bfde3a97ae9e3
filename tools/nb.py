"""Edit notebooks as text, and keep notebooks, package and README the same thing.

    python tools/nb.py to-text [NOTEBOOK ...]     notebooks -> .nbtext/**.py (percent format), to read or edit
    python tools/nb.py from-text [TEXT ...]       .nbtext/**.py -> notebooks; cell ids and outputs are kept
    python tools/nb.py run NOTEBOOK ...           execute in place and store the outputs
    python tools/nb.py sync                       export the package, write README.md, clean the notebooks, and give
                                                  the tutorials their link to Colab
    python tools/nb.py check                      fail if `sync` would change a file, or a notebook is unfit
"""

import argparse
import configparser
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".nbtext"
KERNEL = {"display_name": "python3", "language": "python", "name": "python3"}
LARGEST = 2_000_000  # bytes; larger notebooks do not render on the web
COLAB = "[Open in Colab]({url})"
COLAB_SETUP = """\
# On Google Colab this cell installs the library; anywhere else it changes nothing.
import sys

if "google.colab" in sys.modules:
    %pip install -q git+{git_url}

from genomic_lens import colab

colab.setup();"""
NOT_STORED = {"application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json"}


def notebooks() -> list[Path]:
    """All notebooks of the project, in reading order."""
    found = [path for folder in ("nbs", "tutorials") for path in (ROOT / folder).rglob("*.ipynb")]
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def to_text(notebook: Path) -> None:
    """Write one notebook as percent-format text below the scratch folder."""
    text = SCRATCH / notebook.relative_to(ROOT).with_suffix(".py")
    text.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(nbformat.read(notebook, as_version=4), text, fmt="py:percent")


def from_text(text: Path) -> None:
    """Update (or create) the notebook of one text file; unchanged cells keep their ids and outputs."""
    notebook = ROOT / text.relative_to(SCRATCH).with_suffix(".ipynb")
    fresh = jupytext.read(text, fmt="py:percent")
    if notebook.exists():
        fresh = combine_inputs_with_outputs(fresh, nbformat.read(notebook, as_version=4), fmt="py:percent")
    write(fresh, notebook)


def write(content: nbformat.NotebookNode, notebook: Path) -> None:
    """Write a notebook in the one form that is committed."""
    content.metadata = nbformat.NotebookNode({"kernelspec": KERNEL})
    content.nbformat, content.nbformat_minor = 4, 5
    for cell in content.cells:
        cell.metadata = {}
        cell.setdefault("id", nbformat.v4.new_code_cell().id)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [kept for output in cell.get("outputs", []) if (kept := storable(output))]
    notebook.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(content, notebook)


def storable(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """An output without progress bars, widget state and live figures, or None if nothing is left of it."""
    if output.output_type == "stream" and output.name == "stderr":
        return None
    if "execution_count" in output:
        output.execution_count = None
    if "data" in output:
        output.metadata = {}
        if NOT_STORED & set(output.data):
            output.data = {kind: data for kind, data in output.data.items() if kind.startswith("image/")}
        return output if output.data else None
    return output


def run(notebook: Path) -> None:
    """Execute one notebook in its own folder and store its outputs."""
    import nbclient

    content = nbformat.read(notebook, as_version=4)
    context = {"metadata": {"path": str(notebook.parent)}}
    nbclient.NotebookClient(content, timeout=900, kernel_name="python3", resources=context).execute()
    write(content, notebook)


def link_to_colab(tutorial: Path) -> None:
    """Write a tutorial's link to Colab, below its title, and its set-up cell; settings.ini has the address."""
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    address = "{user}/{repo}/blob/{branch}/tutorials/".format_map(settings["DEFAULT"]) + tutorial.name
    link = COLAB.format(url=f"https://colab.research.google.com/github/{address}")
    content = nbformat.read(tutorial, as_version=4)
    head = content.cells[0]
    title, *text = [part for part in head.source.split("\n\n") if not part.startswith("[Open in Colab]")]
    head.source = "\n\n".join([title, link, *text])
    setup = next((cell for cell in content.cells if cell.cell_type == "code"), None)
    if setup is None or "google.colab" not in setup.source:
        setup = nbformat.v4.new_code_cell()
        content.cells.insert(1, setup)
    setup.source = COLAB_SETUP.format_map(settings["DEFAULT"])
    write(content, tutorial)


def sync() -> None:
    """Export the package, write README.md, clean the notebooks, link the tutorials to Colab."""
    tools = Path(sys.executable).parent
    subprocess.run([tools / "nbdev_export"], cwd=ROOT, check=True)
    subprocess.run([tools / "nbdev_clean"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, ROOT / "tools" / "readme.py"], cwd=ROOT, check=True)
    for tutorial in sorted((ROOT / "tutorials").glob("*.ipynb")):
        link_to_colab(tutorial)


def generated() -> dict[str, str]:
    """Digest of every file that `sync` may write."""
    files = [*notebooks(), ROOT / "README.md", *(ROOT / "genomic_lens").rglob("*.py")]
    present = [path for path in files if path.exists()]
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in present}


def unfit(notebook: Path) -> list[str]:
    """Reasons why a notebook should not be committed."""
    content = nbformat.read(notebook, as_version=4)
    ids = [cell.get("id") for cell in content.cells]
    reasons = []
    if None in ids or len(set(ids)) != len(ids):
        reasons.append("cells without a unique id (python tools/nb.py from-text gives them one)")
    if content.metadata.get("widgets"):
        reasons.append("widget state is stored in it")
    if notebook.stat().st_size > LARGEST:
        reasons.append(f"{notebook.stat().st_size:,} bytes, the limit is {LARGEST:,}")
    if any(output.output_type == "error" for cell in content.cells for output in cell.get("outputs", [])):
        reasons.append("a stored output is an error")
    return reasons


def check() -> int:
    """Sync, compare with what was there, and inspect the notebooks; 0 if all is well."""
    before = generated()
    sync()
    after = generated()
    changed = [name for name in before | after if before.get(name) != after.get(name)]
    problems = [f"{name}: not in sync (run `make sync`)" for name in changed]
    problems += [f"{path.relative_to(ROOT)}: {reason}" for path in notebooks() for reason in unfit(path)]
    print("\n".join(problems) or f"{len(notebooks())} notebooks, package and README agree")
    return len(problems)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["to-text", "from-text", "run", "sync", "check"])
    parser.add_argument("paths", nargs="*", type=lambda name: Path(name).resolve())
    options = parser.parse_args()
    if options.command == "to-text":
        if not options.paths:
            shutil.rmtree(SCRATCH, ignore_errors=True)
        for path in options.paths or notebooks():
            to_text(path)
    elif options.command == "from-text":
        for path in options.paths or sorted(SCRATCH.rglob("*.py")):
            from_text(path)
    elif options.command == "run":
        for path in options.paths:
            run(path)
    elif options.command == "sync":
        sync()
    else:
        sys.exit(bool(check()))


if __name__ == "__main__":
    main()
