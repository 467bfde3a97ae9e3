"""The package as a whole: light to import, whole when asked, and free of its build tools."""

import ast
import configparser
import importlib
import json
from pathlib import Path

import pytest

import genomic_lens

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted((ROOT / "genomic_lens").rglob("*.py"))
BUILD_TOOLS = {"nbdev", "fastcore", "execnb", "nbclient", "jupytext"}

EVERYTHING = """
import importlib, json, sys
import genomic_lens
missing = []
for package in genomic_lens.__all__:
    module = importlib.import_module(f"genomic_lens.{package}")
    for name in getattr(module, "__all__", []):
        try:
            getattr(module, name)
        except Exception as error:
            missing.append(f"{package}.{name}: {error!r}")
print(json.dumps({"missing": missing, "loaded": [name for name in sys.modules if "." not in name]}))
"""


def test_importing_the_package_imports_nothing_heavy(fresh_python):
    loaded = json.loads(fresh_python("import json, sys, genomic_lens; print(json.dumps(list(sys.modules)))"))
    assert "genomic_lens" in loaded
    assert not {"torch", "transformers", "pandas", "numpy", "plotly", "matplotlib", "sklearn"} & set(loaded)


def test_every_promised_name_exists_and_none_of_them_needs_a_build_tool(fresh_python):
    """In a fresh process, because here other tests have imported modules that a package forgets to import."""
    found = json.loads(fresh_python(EVERYTHING))
    assert found["missing"] == []
    assert not BUILD_TOOLS & set(found["loaded"])


def imports(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere, functions included."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    given = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in plain | given}


def test_no_file_imports_a_build_tool():
    assert len(LIBRARY) > 20
    assert {path.name: found for path in LIBRARY if (found := imports(path) & BUILD_TOOLS)} == {}


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        importlib.import_module("genomic_lens.model").no_such_thing  # noqa: B018


def test_version_is_that_of_the_metadata():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "settings.ini")
    assert genomic_lens.__version__ == settings["DEFAULT"]["version"]
