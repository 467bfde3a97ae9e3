"""The pages that no one writes by hand: front page, tutorials, API and the tour of the source."""

import json
from pathlib import Path

from outline import LIBRARY, ROOT, Module, Package, packages
from tables import experiment_tables, hyenadna_tables, measured_tables

GALLERY = "tutorials/90_gallery"
FRONT = """
## On this site

- [Tutorials](tutorials/index.md): notebooks to run and change.
- [Gallery](tutorials/90_gallery.ipynb): every view, live in the browser, without a kernel.
- [API](api/index.rst): what each public name takes, gives and raises.
- [Tour of the source](nbs/tour.md): the notebooks that the package is written in.
- [Experiments](experiments.md): training from one YAML file, on data of one's own, and HyenaDNA's command lines.
- [HyenaDNA](hyenadna.md): its sizes, the memory and time they need, and where each number was checked.
- [Measured](measured.md): how well, how fast and how exactly, beside other tools, with the targets that were missed.
- [Contributing](CONTRIBUTING.md): how to change something, and how to add a module or a model.

```{toctree}
:hidden:

tutorials/index
Gallery <tutorials/90_gallery>
api/index
nbs/tour
experiments
hyenadna
measured
CONTRIBUTING
```
"""
TOUR = """# Tour of the source

The package is written in notebooks. Each tells why its module is as it is, then shows the code and what it does. Cells
with a bar at their side are the package itself, all others are examples.
"""
API = "What each public name takes, gives and raises. Positions are bases: 0-based and half-open."


def toctree(pages: list[str], caption: str = "") -> str:
    """A hidden table of contents in MyST Markdown."""
    head = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["```{toctree}", *head, "", *(f"/{page}" for page in pages), "```", ""])


def write_front(source: Path) -> None:
    """The notebook that is the README becomes the front page; it moves up one folder, and so do its links."""
    index = json.loads((source / "nbs" / "index.ipynb").read_text(encoding="utf-8").replace("](../", "]("))
    (source / "nbs" / "index.ipynb").unlink()
    index["cells"].append({"cell_type": "markdown", "id": "contents", "metadata": {}, "source": FRONT})
    (source / "index.ipynb").write_text(json.dumps(index), encoding="utf-8")


def write_page(source: Path, page: str, tables: dict[str, str]) -> None:
    """A page with its tables."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for name, content in tables.items():
        text = text.replace(f"<!-- {name} -->", content)
    (source / f"{page}.md").write_text(text, encoding="utf-8")


def write_tables(source: Path) -> None:
    """The pages that show what the library lists and what benchmarks wrote."""
    write_page(source, "experiments", experiment_tables())
    write_page(source, "hyenadna", hyenadna_tables())
    write_page(source, "measured", measured_tables())


def write_tutorials(source: Path) -> None:
    """A list of the tutorials; the gallery has its own place."""
    pages = [page.relative_to(source).with_suffix("").as_posix() for page in sorted(source.glob("tutorials/*.ipynb"))]
    pages = [page for page in pages if page != GALLERY]
    lines = ["# Tutorials", "", "Notebooks to run from top to bottom, and then to change.", ""]
    lines += [f"- {{doc}}`/{page}`" for page in pages]
    (source / "tutorials" / "index.md").write_text("\n".join([*lines, "", toctree(pages)]), encoding="utf-8")


def short(name: str) -> str:
    """A name without that of the library."""
    return name.removeprefix(f"{LIBRARY}.")


def tour_section(package: Package) -> str:
    """A package in one sentence, and each of its notebooks in one."""
    title = short(package.name)
    items = [f"- [{module.title}](/{module.notebook}.ipynb): {module.sentence}" for module in package.modules]
    contents = toctree([module.notebook for module in package.modules], title)
    return "\n".join([f"## {title}", "", package.sentence, "", *items, "", contents])


def write_tour(source: Path) -> None:
    """The notebooks of the modules, in reading order."""
    text = "\n".join([TOUR, *map(tour_section, packages())])
    (source / "nbs" / "tour.md").write_text(text, encoding="utf-8")


def heading(text: str, line: str) -> list[str]:
    """A title and what underlines it, in reStructuredText."""
    return [text, line * len(text), ""]


def story(module: Module) -> list[str]:
    """What a module is for, and where that is told at length."""
    return [f"{module.sentence} Its story is told in :doc:`{module.title} </{module.notebook}>`.", ""]


def described(owner: str, module: Module, names: list[str]) -> list[str]:
    """Directives for names of a module, under the place that a user imports them from."""
    return [line for name in names for line in (f".. {module.directives[name]}:: {owner}::{name}", "")]


def summary(modules: list[Module], names: list[str]) -> list[str]:
    """A table of functions and classes with their first sentences; constants have none."""
    constants = {name for module in modules for name, kind in module.directives.items() if kind == "autodata"}
    rows = [f"   {name}" for name in names if name not in constants]
    return [".. autosummary::", "   :nosignatures:", "", *rows, ""]


def api_head(name: str, sentence: str) -> list[str]:
    """Title, anchor and purpose of a page."""
    return [*heading(name, "="), f".. py:module:: {name}", "", sentence, ""]


def package_page(package: Package) -> str:
    """The public names of a package: a table of all, then each in full, by module."""
    lines, names = [], []
    for module in package.modules:
        if exported := package.exports(module):
            lines += [*heading(module.title, "-"), *story(module), *described(package.name, module, exported)]
            names += exported
    table = summary(package.modules, sorted(names, key=str.lower))
    return "\n".join([*api_head(package.name, package.sentence), *table, *lines])


def module_page(module: Module) -> str:
    """The same of a module that is public as a whole."""
    names = list(module.directives)
    parts = api_head(module.name, story(module)[0]), summary([module], names), described(module.name, module, names)
    return "\n".join(line for part in parts for line in part)


def api_pages() -> dict[str, tuple[str, str]]:
    """Sentence and text of each page, by the name of its module or package."""
    pages = {}
    for package in packages():
        if any(map(package.exports, package.modules)):
            pages[package.name] = package.sentence, package_page(package)
        pages |= {module.name: (module.sentence, module_page(module)) for module in package.public_modules}
    return pages


def write_api(source: Path) -> None:
    """A page for each public module or package, and their list."""
    (source / "api").mkdir()
    pages = api_pages()
    for name, (_, text) in pages.items():
        (source / "api" / f"{name}.rst").write_text(text, encoding="utf-8")
    lines = [*heading("API", "="), API, ""]
    lines += [f"- :doc:`{name}`: {sentence}" for name, (sentence, _) in pages.items()]
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {short(name)} <{name}>" for name in pages), ""]
    (source / "api" / "index.rst").write_text("\n".join(lines), encoding="utf-8")


def write_pages(source: Path) -> None:
    """All of them, into the folder that Sphinx reads."""
    for write in (write_front, write_tutorials, write_tables, write_tour, write_api):
        write(source)
