"""Run tutorials as a stranger does: from the built wheel, in a fresh environment, in an empty folder, as if in Colab.

    python tools/check_wheel.py [NOTEBOOK ...]    default: tutorials/00_first_lens.ipynb

The environment holds the wheel, what the wheel declares, and a kernel. That kernel has loaded a stand-in for Colab's
package, which writes down what it is asked for. It writes `%pip` down as well instead of running it, because that would
put the published library in the place of the wheel. The library must ask for Colab's widget manager exactly once;
anywidget asks for itself when its first view is made, which Colab takes as it comes, and so does this check.
"""

import argparse
import configparser
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "genomic_lens"
DATA = {".js", ".css", ".gz", ".yaml"}  # kinds of files without which the package is not whole
NOT_SOURCE = (".*", "__pycache__", "build", "dist", "demo", "_docs", "*.egg-info")
STAND_IN = {
    "google/colab/__init__.py": """
from google.colab.output import note

def load_ipython_extension(shell):
    shell.register_magic_function(lambda line: note(f"%pip {line}"), magic_name="pip")
""",
    "google/colab/output.py": """
import os
import sys
from types import SimpleNamespace

_widgets = SimpleNamespace(_installed_url=None)  # anywidget reads this whenever it shows a view

def note(call):
    with open(os.environ["COLAB_CALLS"], "a") as file:
        print(call, file=file)

def enable_custom_widget_manager():
    _widgets._installed_url = "https://example.org/manager.js"
    note("enable_custom_widget_manager by " + sys._getframe(1).f_globals["__name__"])
""",
}
ANYWIDGET = "enable_custom_widget_manager by anywidget._util"
WHERE = f"import {PACKAGE}\nprint({PACKAGE}.__file__)"


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what is being done, then how long it took."""
    print(f"{what} ...", flush=True)
    start = perf_counter()
    yield
    print(f"    {perf_counter() - start:.1f} s", flush=True)


def run(*command: object) -> str:
    """Run a program and return what it printed; if it fails, so does the check."""
    return subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def build_wheel(scratch: Path) -> Path:
    """The wheel, from a copy: leftovers of earlier builds do not get in, and this one leaves none."""
    shutil.copytree(ROOT, scratch / "source", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", scratch / "wheel", scratch / "source")
    [wheel] = (scratch / "wheel").glob("*.whl")
    return wheel


def make_environment(scratch: Path, wheel: Path) -> Path:
    """The Python of a new environment with the wheel, its requirements and a kernel."""
    run(sys.executable, "-m", "venv", scratch / "venv")
    python = scratch / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-qq", "-c", ROOT / "constraints.txt", wheel, "ipykernel")
    return python


def files(package: Path) -> set[str]:
    """What a package consists of."""
    found = [path.relative_to(package) for path in package.rglob("*") if path.is_file()]
    return {path.as_posix() for path in found if path.suffix != ".pyc"}


def compare_files(source: Path, installed: Path) -> list[str]:
    """Files of the source that the installed package lacks, and kinds of data of which it has none."""
    present = files(installed)
    lost = [f"{name} is not in the wheel" for name in sorted(files(source) - present)]
    return lost + [f"the wheel holds no {kind} file" for kind in sorted(DATA - {Path(name).suffix for name in present})]


def write_kernel(scratch: Path, python: Path) -> None:
    """A kernel `wheel` that runs in the environment, knows nothing of this user, and believes itself in Colab."""
    for name, code in STAND_IN.items():
        (scratch / "stand_in" / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / "stand_in" / name).write_text(code, encoding="utf-8")
    extension = "--IPKernelApp.extra_extensions=google.colab"
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}", extension]
    own = {"PYTHONPATH": "stand_in", "HOME": "home", "IPYTHONDIR": "home/ipython", "COLAB_CALLS": "calls.txt"}
    environment = {name: str(scratch / path) for name, path in own.items()} | {"OMP_NUM_THREADS": "1"}
    (scratch / "home").mkdir()
    folder = scratch / "jupyter" / "kernels" / "wheel"
    folder.mkdir(parents=True)
    spec = {"argv": command, "display_name": "wheel", "language": "python", "env": environment}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(scratch / "jupyter")


def shown_errors(content: nbformat.NotebookNode) -> list[str]:
    """Errors that did not stop a cell, such as those of a view that cannot be shown."""
    outputs = [output for cell in content.cells for output in cell.get("outputs", [])]
    return [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]


def run_tutorial(notebook: Path, scratch: Path, installed: Path) -> list[str]:
    """Run one notebook in an empty folder; what was wrong with it."""
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    install = f"%pip install -q git+{settings['DEFAULT']['git_url']}"
    expected = [install, f"enable_custom_widget_manager by {PACKAGE}.colab"]
    calls = scratch / "calls.txt"
    calls.write_text("")
    content = nbformat.read(notebook, as_version=4)
    content.cells.append(nbformat.v4.new_code_cell(WHERE))
    place = {"metadata": {"path": tempfile.mkdtemp(dir=scratch)}}
    try:
        NotebookClient(content, timeout=900, kernel_name="wheel", resources=place).execute()
    except CellExecutionError as error:
        return [f"{notebook.name}: {error}"]
    wrong = [f"{notebook.name} shows an error: {text}" for text in shown_errors(content)]
    found = [call for call in calls.read_text().splitlines() if call != ANYWIDGET]
    used = Path(content.cells[-1].outputs[0].text.strip()).parent
    if found != expected:
        wrong.append(f"{notebook.name} asked Colab for {found}, not for {expected}")
    if not used.samefile(installed):
        wrong.append(f"{notebook.name} used the package in {used}, not the one in {installed}")
    return wrong


def check(notebooks: list[Path]) -> list[str]:
    """Build, install, compare, run; everything that is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder).resolve()
        with timed("build the wheel"):
            wheel = build_wheel(scratch)
        with timed(f"install {wheel.name}, its requirements and a kernel in a fresh environment"):
            python = make_environment(scratch, wheel)
        installed = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")) / PACKAGE
        problems = compare_files(scratch / "source" / PACKAGE, installed)
        print(f"{len(files(installed))} files of {PACKAGE} are installed")
        write_kernel(scratch, python)
        for notebook in notebooks:
            with timed(f"run {notebook.name} in an empty folder"):
                problems += run_tutorial(notebook, scratch, installed)
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    first = ROOT / "tutorials" / "00_first_lens.ipynb"
    parser.add_argument("notebooks", nargs="*", type=Path, default=[first], metavar="NOTEBOOK")
    start = perf_counter()
    problems = check(parser.parse_args().notebooks)
    print("\n".join(problems) or f"the wheel is whole and runs by itself ({perf_counter() - start:.0f} s)")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
