"""What the site is about: packages in reading order, their modules, notebooks and names, read without running them."""

import ast
import importlib
import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = "genomic_lens"


@dataclass(frozen=True)
class Module:
    """A module, the notebook it is written in, and its public names with the autodoc directive of each."""

    name: str
    notebook: str
    sentence: str
    directives: dict[str, str]

    @property
    def title(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Package:
    """A package, what its `__all__` lists, and its modules in reading order."""

    name: str
    sentence: str
    names: tuple[str, ...]
    modules: tuple[Module, ...]

    def exports(self, module: Module) -> list[str]:
        """Names of a module that the package makes public."""
        return [name for name in module.directives if name in self.names]

    @property
    def public_modules(self) -> list[Module]:
        """Modules that are public as a whole."""
        return [module for module in self.modules if module.title in self.names and not self.exports(module)]


def directive(node: ast.stmt) -> str:
    """The autodoc directive for what a statement defines."""
    if isinstance(node, ast.ClassDef):
        return "autoexception" if node.name.endswith("Error") else "autoclass"
    return "autofunction" if isinstance(node, ast.FunctionDef) else "autodata"


def public_names(tree: ast.Module) -> dict[str, str]:
    """Names of a module's `__all__` and their directives."""
    defined = {getattr(node, "name", ""): directive(node) for node in tree.body}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    lists = [node.value for node in assigned if ast.unparse(node.targets[0]) == "__all__"]
    return {name: defined.get(name, "autodata") for names in lists for name in ast.literal_eval(names)}


def sentence(tree: ast.Module) -> str:
    """First paragraph of a docstring."""
    return " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())


def read_module(notebook: Path) -> Module | None:
    """The module that a notebook exports, or None if it exports none."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    exported = re.search(r"#\| *default_exp +(\S+)", "\n".join("".join(cell["source"]) for cell in cells))
    if not exported:
        return None
    tree = ast.parse(Path(ROOT, LIBRARY, *exported[1].split(".")).with_suffix(".py").read_text(encoding="utf-8"))
    page = notebook.relative_to(ROOT).with_suffix("").as_posix()
    return Module(f"{LIBRARY}.{exported[1]}", page, sentence(tree), public_names(tree))


def read_package(name: str, notebooks: list[Path]) -> Package:
    """A package and the modules of its notebooks; every public name must come from one of them."""
    tree = ast.parse(Path(ROOT, *name.split("."), "__init__.py").read_text(encoding="utf-8"))
    modules = tuple(filter(None, map(read_module, sorted(notebooks))))
    names = tuple(importlib.import_module(name).__all__)
    known = {known for module in modules for known in (module.title, *module.directives)}
    if name != LIBRARY and (lost := set(names) - known):
        raise SystemExit(f"{name} makes {', '.join(sorted(lost))} public, but no notebook exports it.")
    return Package(name, sentence(tree), names, modules)


def layers() -> list[str]:
    """Packages from the one that imports nothing to the one that imports all: the order to read them in."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return [layer.strip("()") for layer in reversed(tools["importlinter"]["contracts"][0]["layers"])]


@cache
def packages() -> tuple[Package, ...]:
    """The library itself with its top modules, then its packages in reading order."""
    names = [layer for layer in layers() if Path(ROOT, LIBRARY, layer, "__init__.py").exists()]
    own = [read_package(f"{LIBRARY}.{name}", list(Path(ROOT, "nbs", name).rglob("*.ipynb"))) for name in names]
    return read_package(LIBRARY, list(Path(ROOT, "nbs").glob("*.ipynb"))), *own
