"""Tables written block by block hold what was put in, and are there whole or not at all."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.data.tables import write_table
from genomic_lens.errors import ConfigurationError, DataError


def blocks():
    for start, stop in ((0, 3), (3, 4), (4, 9)):
        where = np.arange(start, stop)
        vectors = np.stack([where, where**2], axis=1).astype(np.float32)
        name = "a name that is wider than two numbers, and grows" + "!" * start
        yield {"sequence": np.full(len(where), name), "position": where, "embedding": vectors}


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_what_is_written_is_read_back(tmp_path, ending):
    path = write_table(tmp_path / f"table.{ending}", blocks(), rows=9)
    if ending == "npz":
        with np.load(path) as table:
            found = {name: table[name] for name in table}
    else:
        frame = pd.read_parquet(path)
        found = {name: np.stack(frame[name].to_list()) for name in frame}
    expected = [np.concatenate([block[name] for block in blocks()]) for name in ("sequence", "position", "embedding")]
    for name, values in zip(("sequence", "position", "embedding"), expected, strict=True):
        assert found[name].tolist() == values.tolist()
    assert found["embedding"].dtype == np.float32


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_an_interrupt_leaves_the_old_file_and_no_other(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    path.write_text("old")

    def interrupted():
        yield next(blocks())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(path, interrupted(), rows=9)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_rows_are_counted(tmp_path):
    with pytest.raises(DataError, match="9 rows came; 8 were announced"):
        write_table(tmp_path / "table.npz", blocks(), rows=8)
    assert not list(tmp_path.iterdir())


def test_endings_and_missing_libraries_are_named(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"expected \.npz or \.parquet"):
        write_table(tmp_path / "table.csv", blocks(), rows=9)

    def without(name):
        raise ImportError(name)

    monkeypatch.setattr("genomic_lens.data.tables.import_module", without)
    with pytest.raises(ConfigurationError, match=r"genomic_lens\[parquet\]"):
        write_table(tmp_path / "table.parquet", blocks(), rows=9)
