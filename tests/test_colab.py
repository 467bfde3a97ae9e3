"""Setting up Google Colab, with a stand-in for Colab's own package."""

import json
import sys
from types import SimpleNamespace

import pytest

from genomic_lens import colab

STAND_IN = """
calls = []

def enable_custom_widget_manager():
    calls.append("asked")
"""
FRESH = """
import json, sys
sys.path[:0] = sys.argv[1:]
from genomic_lens import colab
answers = [colab.setup(), colab.setup()]
calls = sys.modules["google.colab.output"].calls if "google.colab.output" in sys.modules else []
print(json.dumps({"answers": answers, "calls": calls, "loaded": list(sys.modules)}))
"""
HEAVY = {"torch", "transformers", "pandas", "numpy", "plotly", "matplotlib", "ipywidgets", "anywidget", "IPython"}


@pytest.fixture(autouse=True)
def forget():
    """Each test is a process that has not been set up."""
    colab.setup.cache_clear()
    yield
    colab.setup.cache_clear()


@pytest.fixture
def stand_in(tmp_path):
    """A folder in which `google.colab` can be found, as a package on disk."""
    package = tmp_path / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "output.py").write_text(STAND_IN)
    return tmp_path


def test_in_colab_the_widget_manager_is_asked_for_once_although_setup_runs_twice(fresh_python, stand_in):
    found = json.loads(fresh_python(FRESH, stand_in))
    assert found["answers"] == [True, True]
    assert found["calls"] == ["asked"]
    assert not HEAVY & set(found["loaded"])


def test_elsewhere_nothing_happens_and_nothing_is_imported(fresh_python):
    found = json.loads(fresh_python(FRESH))
    assert found["answers"] == [False, False]
    assert not {"google.colab", *HEAVY} & set(found["loaded"])


def test_another_google_package_is_not_colab(fresh_python, tmp_path):
    """Many packages live below `google`, protobuf for one."""
    (tmp_path / "google" / "protobuf").mkdir(parents=True)
    (tmp_path / "google" / "protobuf" / "__init__.py").touch()
    assert json.loads(fresh_python(FRESH, tmp_path))["answers"] == [False, False]


def test_what_colab_has_loaded_already_is_used(monkeypatch):
    calls = []
    output = SimpleNamespace(enable_custom_widget_manager=lambda: calls.append("asked"))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(output=output))
    assert colab.setup() is True
    assert calls == ["asked"]


def test_a_refusal_by_colab_is_not_hidden_and_may_be_tried_again(monkeypatch):
    """A failed call must not count as the one that was made."""
    answers = [RuntimeError("no front end"), None]

    def ask():
        if answer := answers.pop(0):
            raise answer

    output = SimpleNamespace(enable_custom_widget_manager=ask)
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(output=output))
    with pytest.raises(RuntimeError, match="no front end"):
        colab.setup()
    assert colab.setup() is True
    assert answers == []
