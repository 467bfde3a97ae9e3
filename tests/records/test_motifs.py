"""Records of motifs: whole after a file, nested motifs included, and tables that can be counted by hand."""

from dataclasses import fields

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.records import Motif, MotifDiscovery, MotifMatches


def found(name, instances, sign=1, hypothetical=None):
    instances = np.array(instances)
    return Motif(
        name, tuple("ACGT"), sign * np.eye(4)[:3], np.eye(4)[:3], "ACG", sequences=len(instances), sign=sign,
        method="exact", baseline="shuffled", model="ab", hypothetical=hypothetical, instances=instances,
        strengths=sign * np.arange(1.0, len(instances) + 1), null_instances=2, q_value=1e-5,
    )  # fmt: skip


MOTIFS = (found("motif 1", [[0, 4, 1], [2, 7, -1]], hypothetical=np.ones((3, 4))), found("motif 2", [[1, 0, 1]], -1))
DISCOVERY = MotifDiscovery(
    MOTIFS, np.array([20, 30, 25]), 12, 1, 1 / 12, np.array([0.5, -np.inf]), 15, 3, seqlet_fdr=0.1,
    significance_threshold=0.01, target="donor", method="exact", baseline="shuffled", null="3 shuffled sequences",
    seed=4, model="ab",
)  # fmt: skip
NOTHING = MotifDiscovery((), np.array([20]), reason="Nothing stands out.", advice="Pass more.")
MATCHES = MotifMatches(
    ("motif 1", "motif 1", "motif 2"), ("MA1 A", "MA2 B", "MA1 A"), np.array([1e-9, 1e-3, 0.2]),
    np.array([1e-6, 0.1, 0.9]), np.array([-1, 0, 2]), np.array([3, 2, 1]), np.array([1, -1, 1]), np.array([3, 3, 3]),
    np.array([5, 2, 4]), np.arange(36.0).reshape(9, 4), np.arange(44.0).reshape(11, 4), "JASPAR", 1019,
)  # fmt: skip


def assert_same(after, before):
    for item in fields(before):
        one, other = getattr(after, item.name), getattr(before, item.name)
        assert type(one) is type(other), item.name
        if item.name == "motifs" and other and isinstance(other[0], Motif):
            assert len(one) == len(other)
            for motif, expected in zip(one, other, strict=True):
                assert_same(motif, expected)
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("record", [DISCOVERY, NOTHING, MATCHES], ids=["discovery", "nothing", "matches"])
def test_what_was_saved_comes_back_equal_in_value_and_type(record, tmp_path):
    again = type(record).load(record.save(tmp_path / "record.npz"))
    assert_same(again, record)


def test_saving_leaves_the_record_as_it_was(tmp_path):
    DISCOVERY.save(tmp_path / "record.npz")
    assert all(isinstance(motif, Motif) for motif in DISCOVERY.motifs)


def test_a_discovery_answers_like_a_dictionary():
    assert DISCOVERY["top_motifs"] is DISCOVERY["discovered_patterns"] is DISCOVERY.motifs
    assert (DISCOVERY["count"], len(DISCOVERY), DISCOVERY["seqlets"], DISCOVERY["target"]) == (2, 2, 12, "donor")
    assert dict(DISCOVERY)["null"] == "3 shuffled sequences"
    assert {"top_motifs", "count", "reason"} <= set(dict(DISCOVERY))
    with pytest.raises(DataError, match="motivs"):
        DISCOVERY["motivs"]


def test_tables_by_hand():
    table = DISCOVERY.to_dataframe()
    assert table[["motif", "width", "sign", "instances", "null_instances", "strength"]].values.tolist() == [
        ["motif 1", 3, 1, 2, 2, 1.5], ["motif 2", 3, -1, 1, 2, -1.0]
    ]  # fmt: skip
    assert DISCOVERY.instances.values.tolist() == [
        ["motif 1", 0, 4, 7, 1, 1.0], ["motif 1", 2, 7, 10, -1, 2.0], ["motif 2", 1, 0, 3, 1, -1.0]
    ]  # fmt: skip
    assert NOTHING.to_dataframe().empty
    assert NOTHING.instances.empty
    assert list(NOTHING.instances) == list(DISCOVERY.instances)


def test_matches_are_cut_into_their_matrices():
    own, target = MATCHES.matrices(1)
    np.testing.assert_array_equal(own, np.arange(12.0, 24).reshape(3, 4))
    np.testing.assert_array_equal(target, np.arange(20.0, 28).reshape(2, 4))
    assert MATCHES.best("motif 2") == 2
    assert MATCHES.to_dataframe()["target"].tolist() == ["MA1 A", "MA2 B", "MA1 A"]
    with pytest.raises(DataError, match="motif 3"):
        MATCHES.best("motif 3")
