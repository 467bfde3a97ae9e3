"""Every tutorial can be opened from its page, runs in Colab and elsewhere, and is committed as readers see it."""

import configparser
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = sorted((ROOT / "tutorials").glob("*.ipynb"))
SHOWS = re.compile(r"^\s*(print|display|draw_\w+)\(", re.MULTILINE)
MACHINE = re.compile(r"(?<![\w.])/(work|tmp|root|home|Users|opt|usr)/|[A-Z]:\\Users")


@pytest.fixture(scope="module")
def settings():
    ini = configparser.ConfigParser(delimiters=["="])
    ini.read(ROOT / "settings.ini", encoding="utf-8")
    return ini["DEFAULT"]


@pytest.fixture(scope="module")
def nb():
    """tools/nb.py, which is a script and no part of the package."""
    spec = importlib.util.spec_from_file_location("nb", ROOT / "tools" / "nb.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=TUTORIALS, ids=lambda path: path.stem)
def tutorial(request):
    return request.param


@pytest.fixture
def cells(tutorial):
    return nbformat.read(tutorial, as_version=4).cells


def outputs(cells):
    return [output for cell in cells for output in cell.get("outputs", [])]


def words(output):
    """Everything in an output that is text; pictures are left out, because base64 may spell anything."""
    data = output.get("data", {})
    return [output.get("text", ""), *(str(data[kind]) for kind in data if not kind.startswith("image/"))]


def test_there_is_a_first_tutorial():
    assert "00_first_lens.ipynb" in [path.name for path in TUTORIALS]


def test_the_first_cell_is_a_title_with_a_link_that_opens_this_very_file_in_colab(tutorial, cells, settings):
    place = f"{settings['user']}/{settings['repo']}/blob/{settings['branch']}/tutorials/{tutorial.name}"
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    links = re.findall(r"\((https://colab\.[^)]*)\)", cells[0].source)
    assert links == [f"https://colab.research.google.com/github/{place}"]


def test_the_first_code_cell_sets_colab_up(cells, settings):
    first = next(cell for cell in cells if cell.cell_type == "code")
    lines = [line for line in first.source.splitlines() if line and not line.startswith("#")]
    assert lines == [
        "import sys",
        'if "google.colab" in sys.modules:',
        f"    %pip install -q git+{settings['git_url']}",
        "from genomic_lens import colab",
        "colab.setup();",
    ]


def test_it_is_small_and_holds_no_widget_state(tutorial):
    content = nbformat.read(tutorial, as_version=4)
    assert tutorial.stat().st_size < 2_000_000
    assert "widgets" not in content.metadata
    kinds = {kind for output in outputs(content.cells) for kind in output.get("data", {})}
    assert not [kind for kind in kinds if "widget" in kind]


def test_it_names_no_place_on_a_machine(cells):
    texts = [cell.source for cell in cells] + [text for output in outputs(cells) for text in words(output)]
    assert [found.group() for text in texts for found in MACHINE.finditer(text)] == []


def test_it_was_run_before_it_was_committed(cells):
    shown = [output.output_type for output in outputs(cells)]
    assert "error" not in shown
    assert {"stream", "display_data", "execute_result"} & set(shown)
    showing = [cell for cell in cells if cell.cell_type == "code" and SHOWS.search(cell.source)]
    assert [cell.source for cell in showing if not cell.outputs] == []


def test_sync_writes_the_address_of_settings_and_leaves_the_rest_alone(nb, settings, tmp_path, monkeypatch):
    """A stale link, a stale set-up cell, and a second time."""
    lines = ["[DEFAULT]", "user = ada", "repo = lens", "branch = next", "git_url = https://git.org/%(user)s/%(repo)s"]
    (tmp_path / "settings.ini").write_text("\n".join(lines))
    monkeypatch.setattr(nb, "ROOT", tmp_path)
    copy = tmp_path / TUTORIALS[0].name
    copy.write_bytes(TUTORIALS[0].read_bytes())
    before = nbformat.read(copy, as_version=4).cells
    nb.link_to_colab(copy)
    after = nbformat.read(copy, as_version=4).cells
    own = f"https://colab.research.google.com/github/ada/lens/blob/next/tutorials/{copy.name}"
    assert re.findall(r"\((https://colab\.[^)]*)\)", after[0].source) == [own]
    assert "    %pip install -q git+https://git.org/ada/lens" in after[1].source.splitlines()
    assert settings["git_url"] not in after[1].source
    assert after[2:] == before[2:]
    assert [cell.id for cell in after] == [cell.id for cell in before]
    once = copy.read_bytes()
    nb.link_to_colab(copy)
    assert copy.read_bytes() == once


def test_sync_gives_a_new_tutorial_its_link_and_its_first_cell(nb, tmp_path):
    new = tmp_path / "70_new.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# New\n\nWhat it is about."), nbformat.v4.new_code_cell("print(1)")]
    nb.write(nbformat.v4.new_notebook(cells=cells), new)
    nb.link_to_colab(new)
    title, setup, rest = nbformat.read(new, as_version=4).cells
    heading, link, text = title.source.split("\n\n")
    assert (heading, text) == ("# New", "What it is about.")
    assert re.fullmatch(r"\[Open in Colab\]\(https://\S+/tutorials/70_new\.ipynb\)", link)
    assert "colab.setup()" in setup.source
    assert rest.source == "print(1)"
