"""What goes over the wire between the viewers and the kernel."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from genomic_lens.dashboards.assets import widget_script, widget_style
from genomic_lens.dashboards.tiles import Tiles
from genomic_lens.dashboards.track import Track
from genomic_lens.errors import DataError
from genomic_lens.interpretability import HiddenAttentionTiles
from genomic_lens.interpretability.attention.tiles import MapPlace
from genomic_lens.report import Annotation

from .conftest import SEQUENCE


@pytest.fixture
def tiles(model, tokenizer):
    viewer = Tiles(HiddenAttentionTiles(model, tokenizer, SEQUENCE), layer=1)
    viewer.sent = []
    viewer.send = lambda content, buffers: viewer.sent.append((content, buffers))
    return viewer


def ask(tiles, places, name=None):
    tiles._answer(tiles, {"id": "7", "map": name or tiles.map, "places": places}, [])


def test_a_tile_comes_as_bytes_that_give_its_norms_back(tiles):
    ask(tiles, [[0, 0, 0]])
    ((content, (codes,)),) = tiles.sent
    (described,) = content["tiles"]
    assert (content["id"], described["shape"]) == ("7", [40, 40])
    read = described["peak"] * (np.frombuffer(codes, np.uint8).reshape(40, 40) / 254.0) ** 3
    expected = tiles.source.tile(MapPlace(0, 0, 0), 1)
    assert described["peak"] == pytest.approx(expected.max())
    assert np.abs(np.cbrt(read) - np.cbrt(expected)).max() <= 0.5 / 254 * np.cbrt(expected.max()) * (1 + 1e-9)


def test_a_question_about_another_map_gets_no_answer(tiles):
    ask(tiles, [[0, 0, 0]], name="old")
    assert tiles.sent == []


def test_a_tile_that_is_not_there_is_said_in_words(tiles):
    ask(tiles, [[0, 4, 0]])
    assert tiles.sent == []
    assert "There is no tile 4" in tiles.note


def test_another_layer_path_or_sequence_is_another_map(tiles, model, tokenizer):
    names = {tiles.map}
    for layer, path, sequence in [(0, "value", SEQUENCE), (1, "full", SEQUENCE), (1, "value", SEQUENCE[::-1])]:
        tiles.show(HiddenAttentionTiles(model, tokenizer, sequence), layer, path)
        names.add(tiles.map)
    assert len(names) == 4


def test_another_layer_brings_the_tiles_in_view_along(tiles):
    tiles.view = [[0, 0, 0]]
    tiles.show(tiles.source, 0)
    assert tiles.coming == tiles.view
    ((content, _),) = tiles.sent
    assert content["id"] == f"{tiles.map} 0"
    assert content["tiles"][0]["peak"] == pytest.approx(tiles.source.tile(MapPlace(0, 0, 0), 0).max())


def test_a_sequence_of_another_length_brings_no_tiles_because_the_view_is_another(tiles, model, tokenizer):
    tiles.view = [[0, 0, 0]]
    tiles.show(HiddenAttentionTiles(model, tokenizer, SEQUENCE[:20]), 0)
    assert (tiles.coming, tiles.sent) == ([], [])


@pytest.mark.parametrize("two_sided", [False, True])
def test_the_map_knows_whether_anything_may_stand_above_its_diagonal(build, tokenizer, two_sided):
    source = HiddenAttentionTiles(build(two_sided=two_sided), tokenizer, SEQUENCE)
    above = np.triu(source.tile(MapPlace(0, 0, 0), 0), 1)
    assert Tiles(source).causal is (not two_sided)
    assert bool(above.max() > 1e-6) is two_sided


def test_track_carries_contributions_in_single_precision_and_keeps_annotations():
    values = np.linspace(-1, 1, 9)
    values[4] = np.nan
    track = Track("CAGGTAAGT", values, [Annotation("donor GT", 3, 5, "site")])
    np.testing.assert_array_equal(np.frombuffer(track.values, "<f4"), values.astype("<f4"))
    track.show("CAGGTAAGA")
    assert (track.sequence, track.values) == ("CAGGTAAGA", b"")
    assert track.annotations == [{"name": "donor GT", "start": 3, "stop": 5, "kind": "site", "strand": "+"}]


@pytest.mark.parametrize(("sequence", "values", "message"), [("", None, "empty"), ("ACGT", np.ones(3), r"\(3,\) came")])
def test_track_refuses_what_does_not_fit(sequence, values, message):
    with pytest.raises(DataError, match=message):
        Track(sequence, values)


def test_lanes_of_ticks_go_as_one_byte_a_base():
    track = Track("CAGGT")
    assert (track.lanes, track.starts) == ([], b"")
    track.show("CAGGT", lanes={"stage 0": np.array([1, 0, 0.5, 0, 1e-9]), "stage 1": np.array([1, 0, 0, 0, 0])})
    assert track.lanes == ["stage 0", "stage 1"]
    assert list(track.starts) == [255, 0, 128, 0, 1, 255, 0, 0, 0, 0]
    track.show("CAGG")
    assert (track.lanes, track.starts) == ([], b"")
    with pytest.raises(DataError, match=r"Lane 'stage 0' of shape \(3,\) came; expected \(4,\)"):
        track.show("CAGG", lanes={"stage 0": np.ones(3)})


@pytest.mark.skipif(not shutil.which("node"), reason="no node on PATH")
def test_lanes_of_another_length_are_not_drawn(tmp_path):
    """Between two messages of the kernel the sequence may be the new one, and the ticks still the old ones."""
    (tmp_path / "widget.mjs").write_text(widget_script("track") + "\nexport { intoRows };")
    code = (
        "import('./widget.mjs').then(({ intoRows }) => console.log(JSON.stringify([3, 4].map((length) => "
        "intoRows(['a', 'b'], new DataView(Uint8Array.of(1, 0, 2, 0, 3, 0).buffer), length)"
        ".map(({ name, codes }) => [name, [...codes]])))))"
    )
    done = subprocess.run(["node", "-e", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [[["a", [1, 0, 2]], ["b", [0, 3, 0]]], []]


@pytest.mark.parametrize("name", ["tiles", "track", "host"])
def test_scripts_are_one_module_without_imports_and_addresses(name):
    script, style = widget_script(name), widget_style()
    assert len(re.findall(r"^export default", script, flags=re.MULTILINE)) == 1
    assert not re.search(r"^import ", script, flags=re.MULTILINE)
    addresses = set(re.findall(r"https?://[^\s\"']+", script + style))
    assert addresses <= {"http://www.w3.org/2000/svg"}


@pytest.mark.skipif(not shutil.which("node"), reason="no node on PATH")
@pytest.mark.parametrize("name", ["tiles", "track", "host"])
def test_scripts_export_a_render_function(tmp_path, name):
    (tmp_path / "widget.mjs").write_text(widget_script(name))
    check = "import('./widget.mjs').then((module) => console.log(JSON.stringify(typeof module.default.render)))"
    done = subprocess.run(["node", "-e", check], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == "function"
