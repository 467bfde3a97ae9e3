"""Records: whole files, equal after loading, and safe to open."""

import errno
import io
import json
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.records import (
    Attribution,
    ChunkMap,
    FilterBank,
    HiddenAttention,
    Motif,
    Prediction,
    Record,
    Score,
    Substitutions,
    atomic_write,
    completeness_gap,
)

EXAMPLES = [
    Prediction("ACGT", ("donor", "neither"), np.array([0.25, 0.75]), np.array([-1.0, 0.1]), truth="donor", model="ab"),
    Prediction("ACGT", ("é",), np.array([1.0], dtype=np.float32), np.array([0.0])),
    Score("macro-F1", 0.9, 0.85, 0.95, level=0.9, items=100, groups=90, resamples=1000, seed=3),
    Attribution(
        "GT", np.array([0.5, np.nan]), "donor", "exact", "mean base", 1.0, 0.0, 0.1,
        hypothetical=np.arange(8.0).reshape(2, 4), letters=("A", "C", "G", "T"), references=5,
        spread=np.array([0.1, 0.2]),
    ),
    Attribution("GT", np.array([0.5, 0.4]), "donor", "exact", "mean base", 1.0, 0.0, 0.1),
    HiddenAttention("ACGT", np.array([[1.0, 2.0]]), rows=(3, 4), columns=(1, 3), layer=1, path="full", share=0.5),
    FilterBank(
        0, 0, np.arange(3), np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]), np.array([0.0, 0.5]),
        np.array([[3.0, 1.0], [2.0, 4.0]]), np.array([1, 2]),
    ),
    Motif("donor", ("A", "C"), np.array([[0.5, 0.0], [0.0, 0.2]]), np.array([[1.0, 0.0], [0.3, 0.7]]), "Ac", start=-1),
    ChunkMap(
        "ACGN", np.array([[1.0, 0.2, 0.9, np.nan]], dtype=np.float32), np.array([[True, False, True, False]]),
        np.array([[1.0, 0.8, 0.9, np.nan]], dtype=np.float32), np.array([[0, 0, 1, -1]], dtype=np.int32), (0.3,),
        "routing", model="ab",
    ),
    Substitutions("AC", ("A", "C"), ("x", "y"), np.arange(8.0).reshape(2, 2, 2) / 8, model="ab"),
]  # fmt: skip
NAMES = [type(record).__name__ for record in EXAMPLES]


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_what_was_saved_comes_back_equal_in_value_and_type(record, tmp_path):
    again = type(record).load(record.save(tmp_path / "new" / "record.npz"))
    for item in fields(record):
        before, after = getattr(record, item.name), getattr(again, item.name)
        assert type(after) is type(before), item.name
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype
            np.testing.assert_array_equal(after, before)
        else:
            np.testing.assert_equal(after, before)  # NaN is as good as NaN
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["record.npz"]


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_dictionary_is_plain_enough_for_json(record):
    again = json.loads(json.dumps(record.to_dict()))
    assert set(again) == {item.name for item in fields(record)}
    array = next((item.name for item in fields(record) if isinstance(getattr(record, item.name), np.ndarray)), None)
    if array is not None:
        np.testing.assert_array_equal(np.array(again[array], dtype=float), getattr(record, array))


def test_numpy_scalars_are_saved_as_the_numbers_that_they_are(tmp_path):
    """Code that computes a score hands over numpy scalars, which JSON does not know."""
    score = Score("accuracy", np.float32(0.5), 0.4, 0.6, items=np.int64(3))
    assert Score.load(score.save(tmp_path / "score.npz")) == Score("accuracy", 0.5, 0.4, 0.6, items=3)
    assert json.loads(json.dumps(score.to_dict()))["items"] == 3


def test_records_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        EXAMPLES[2].value = 1.0


def test_record_of_another_class_is_refused_by_both_names(tmp_path):
    path = EXAMPLES[2].save(tmp_path / "score.npz")
    with pytest.raises(DataError, match="type Score, expected Motif; use Score.load"):
        Motif.load(path)


def saved(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def array_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no record", array_file(), saved(values=np.zeros(3)), saved(header=np.array("{")),
        saved(header=np.array('{"a": 1}')), saved(header=np.array('{"record": "Score", "nme": "x"}')),
        saved(header=np.array({"record": "Score"}, dtype=object)),
    ],
    ids=["empty", "text", "bare array", "no header", "broken header", "no class", "strange field", "pickle"],
)  # fmt: skip
def test_strange_file_is_one_data_error_with_its_name(content, tmp_path):
    path = tmp_path / "strange.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"strange\.npz is no saved record"):
        Score.load(path)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_truncated_record_is_a_data_error(tmp_path, kept):
    path = EXAMPLES[3].save(tmp_path / "cut.npz")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"cut\.npz is no saved record"):
        Attribution.load(path)


def test_damaged_record_is_a_data_error(tmp_path):
    path = EXAMPLES[3].save(tmp_path / "bent.npz")
    content = bytearray(path.read_bytes())
    content[60:70] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bent\.npz is no saved record"):
        Attribution.load(path)


def test_missing_file_and_folder_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        Score.load(tmp_path / "none.npz")
    with pytest.raises(DataError, match="is no saved record"):
        Score.load(tmp_path)


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "note.txt"
    atomic_write(path, lambda file: file.write(b"old"))

    def half(file):
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"note.txt could not be written \(No space left on device\)"):
        atomic_write(path, half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "output", "reference", "gap"),
    [
        ([1.0, 2.0], 3.0, 0.0, 0.0),  # adds up
        ([1.0, 2.0], 4.0, 0.0, 0.25),  # 1 of 4 is missing
        ([3.0, -3.0], 0.5, 0.5, 0.0),  # equal outputs, cancelling contributions
        ([3.0, -2.0], 0.5, 0.5, 0.2),  # equal outputs: measured against what was handed out
        ([0.0, 0.0], 1e-6, 0.0, 1e-3),  # next to nothing to explain: measured against 1e-3
        ([[1.0, 0.5], [0.5, 0.0]], -2.0, 0.0, 2.0),  # the wrong sign
    ],
)
def test_completeness_gap_solved_by_hand(values, output, reference, gap):
    assert completeness_gap(np.array(values), output, reference) == pytest.approx(gap)


def test_label_is_the_most_probable_class():
    assert EXAMPLES[0].label == "neither"


def test_score_reads_as_a_sentence():
    assert str(EXAMPLES[2]) == "macro-F1 0.900 (90% interval 0.850–0.950, n = 100)"


# --- tables -----------------------------------------------------------------------------------------------------------


def test_prediction_table_has_one_row_a_class():
    table = EXAMPLES[0].to_dataframe().set_index("label")
    assert table.loc["neither"].to_dict() == {"probability": 0.75, "logit": 0.1}


def test_attribution_table_has_one_row_a_base_and_the_spread_only_where_there_is_one():
    table = EXAMPLES[3].to_dataframe()
    assert table[["position", "base"]].to_numpy().tolist() == [[0, "G"], [1, "T"]]
    assert table["contribution"].isna().tolist() == [False, True]
    assert table["spread"].tolist() == [0.1, 0.2]
    assert "spread" not in EXAMPLES[4].to_dataframe()


def test_attention_table_names_positions_of_the_sequence_rather_than_of_the_window():
    assert EXAMPLES[5].to_dataframe().to_numpy().tolist() == [[3, 1, 1.0], [3, 2, 2.0]]


def test_filter_table_has_energy_and_loudest_frequency():
    table = EXAMPLES[6].to_dataframe()
    assert table["energy"].tolist() == [5.0, 9.0]
    assert table["peak_frequency"].tolist() == [0.0, 0.5]
    assert table["reach"].tolist() == [1, 2]


def test_motif_table_is_indexed_by_position_relative_to_the_site():
    table = EXAMPLES[7].to_dataframe()
    assert table.index.tolist() == [-1, 0]
    assert table.loc[0, "C"] == 0.2


def test_score_table_has_one_row():
    assert EXAMPLES[2].to_dataframe().to_dict("records")[0]["high"] == 0.95


def test_record_without_rows_says_so():
    with pytest.raises(NotImplementedError, match="Record"):
        Record().to_dataframe()


def test_a_chunk_is_a_row_and_masked_bases_belong_to_none():
    record = next(record for record in EXAMPLES if isinstance(record, ChunkMap))
    table = record.to_dataframe()
    assert table[["stage", "start", "stop", "length"]].values.tolist() == [[0, 0, 2, 2], [0, 2, 3, 1]]
    np.testing.assert_allclose(table["probability"], [1.0, 0.9], rtol=1e-6)
    assert record.compression.tolist() == [1.5]
    assert record.shares.tolist() == pytest.approx([2 / 3])


def test_a_chunk_that_begins_at_a_masked_base_has_no_known_probability():
    start = np.array([[True, False, False, True]])
    masked = ChunkMap("NCGT", start * 0.9, start & [False, True, True, True], start * 0.9, np.array([[-1, 0, 0, 1]]))
    table = masked.to_dataframe()
    assert table[["start", "stop"]].values.tolist() == [[1, 3], [3, 4]]
    assert table["probability"].isna().tolist() == [True, False]
    assert np.isnan(ChunkMap("N", np.full((1, 1), np.nan), start[:, :1], start[:, :1], np.array([[-1]])).shares).all()


def test_lanes_of_annotation_are_masks_or_spans():
    record = ChunkMap("A" * 8, *[np.ones((1, 8))] * 4)
    spans = [(0, 2), (1, 4), (6, 8), (5, 5)]
    expected = [True, True, True, True, False, False, True, True]
    assert record.covered(spans).tolist() == expected
    assert record.covered(np.array(expected)).tolist() == expected
    assert not record.covered([]).any()
    for wrong in ([(6, 9)], [(3, 2)], np.ones(7, dtype=bool), np.ones(8)):
        with pytest.raises(DataError, match="expected one bool a base"):
            record.covered(wrong)
