"""Names of motifs: what memelite says, over all of a database, with each alignment as it lies."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from genomic_lens.data.meme import write_meme
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.motifs.motif_matches import match_motifs, read_database
from genomic_lens.records import Motif

ROOT = Path(__file__).resolve().parents[2]


def motif(rows, name="found"):
    return Motif(name, tuple("ACGT"), rows, rows, "")


@pytest.fixture(scope="module")
def jaspar():
    return read_database()[1]


# --- Tomtom -----------------------------------------------------------------------------------------------------------


def test_p_values_are_those_of_memelite(jaspar):
    from memelite import tomtom

    queries = {
        "ctcf": jaspar["MA0139.2 CTCF"][2:12],
        "donor": np.full((6, 4), 0.05) + 0.8 * np.eye(4)[[0, 2, 2, 3, 0, 0]],
    }
    found = match_motifs([motif(rows, name) for name, rows in queries.items()], jaspar, best=1019)
    p_values = tomtom([rows.T for rows in queries.values()], [rows.T for rows in jaspar.values()])[0]
    for row, name in enumerate(queries):
        own = np.array(found.motifs) == name
        order = [list(jaspar).index(target) for target in np.array(found.targets)[own]]
        np.testing.assert_allclose(found.p_values[own], p_values[row][order])
        assert (np.diff(found.p_values[own]) >= 0).all()
        np.testing.assert_allclose(found.q_values[own], false_discovery_control(p_values[row])[order])


@pytest.mark.parametrize("strand", [1, -1])
@pytest.mark.parametrize(("start", "stop"), [(3, 13), (0, 9)])
def test_a_part_of_a_known_motif_gets_its_name_place_and_strand(jaspar, start, stop, strand):
    known = jaspar["MA0139.2 CTCF"]
    found = match_motifs(motif(known[start:stop][::strand, ::strand]), best=2)
    assert found.targets[0] == "MA0139.2 CTCF"
    assert found.q_values[0] < 1e-3
    assert (found.strands[0], found.overlaps[0]) == (strand, stop - start)
    assert found.offsets[0] == (-start if strand == 1 else stop - len(known))
    own, target = found.matrices(0)
    np.testing.assert_allclose(target[-found.offsets[0] :][: len(own)], own)
    assert found.database == "JASPAR 2026 CORE vertebrates"
    assert found.size == 1019


@pytest.mark.parametrize("name", ["MA0139.2 CTCF", "MA0080.7 Spi1", "MA0099.4 FOS::JUN"])
def test_known_motifs_are_named_from_noisy_counts(jaspar, name):
    """Sixty sites drawn from each of three motifs: the name is right, or of a family member with the same letters."""
    name = next((key for key in jaspar if key.split()[1] == name.split()[1]), name)
    generator = np.random.default_rng(0)
    counts = np.array([generator.multinomial(60, rows / rows.sum()) for rows in jaspar[name]])
    found = match_motifs(motif(counts / 60), best=20)
    assert name in found.targets
    assert found.q_values[0] < 1e-3


def test_random_motifs_have_no_name():
    """Forty columns drawn at random: the best of a thousand is no better than chance."""
    generator = np.random.default_rng(0)
    queries = [motif(generator.dirichlet(np.full(4, 0.3), 10), str(number)) for number in range(20)]
    found = match_motifs(queries, best=1)
    assert (found.q_values < 1e-3).sum() == 0
    assert (found.q_values < 0.05).sum() <= 3


# --- databases --------------------------------------------------------------------------------------------------------


def test_the_database_may_be_a_file_text_matrices_or_motifs(jaspar, tmp_path):
    some = dict(list(jaspar.items())[:40])
    path = write_meme(some, tmp_path / "some.meme")
    query = motif(list(some.values())[7])
    expected = match_motifs(query, some, best=3)
    for database in (path, str(path), path.read_text(), [motif(rows, name) for name, rows in some.items()]):
        found = match_motifs(query, database, best=3)
        assert found.targets == expected.targets
        np.testing.assert_allclose(found.p_values, expected.p_values, rtol=1e-3, atol=1e-12)
    assert match_motifs(query, path).database == "some.meme"


def test_the_motifs_in_the_package_are_those_of_the_release(jaspar):
    folder = (ROOT / os.environ.get("GENOMIC_LENS_SHARED", "../shared") / "data" / "motif").resolve()
    path = folder / "JASPAR2026_CORE_vertebrates.meme.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in {folder}; set GENOMIC_LENS_SHARED to the folder that has data/motif")
    name, release = read_database(path)
    assert name == path.name
    assert set(release) == set(jaspar)
    for key, rows in release.items():
        np.testing.assert_allclose(rows, jaspar[key], atol=1e-4)


def test_no_motifs_have_no_matches(jaspar):
    found = match_motifs([], jaspar)
    assert len(found) == 0
    assert found.to_dataframe().empty


def test_what_cannot_be_matched_is_refused(jaspar):
    one = motif(np.full((8, 4), 0.25))
    with pytest.raises(DataError, match="database holds no motif"):
        match_motifs(one, {})
    with pytest.raises(DataError, match="same name"):
        match_motifs([one, one], jaspar)
    with pytest.raises(ConfigurationError, match="best=0"):
        match_motifs(one, jaspar, best=0)
    with pytest.raises(DataError, match="absent.meme"):
        match_motifs(one, "absent.meme")


def test_a_missing_memelite_is_named(monkeypatch, jaspar):
    monkeypatch.setitem(sys.modules, "memelite", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'genomic_lens\[motifs\]'"):
        match_motifs(motif(np.full((8, 4), 0.25)), jaspar)
