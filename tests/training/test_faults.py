"""A training is killed at any moment, resumed, and ends with the very file of a training that was not."""

import numpy as np
import pytest

from .faults import IN_A_SAVE, OPTIONS, PLACES, faulty, reached, run

EPOCHS = 3


@pytest.mark.slow
def test_killed_three_times_it_ends_with_the_very_file(tmp_path):
    """Three moments by chance, one of them within a checkpoint; no kill costs more than `save_steps` steps."""
    generator = np.random.default_rng(2026)
    places = [*generator.choice(PLACES[: -len(IN_A_SAVE)], 2, replace=False), generator.choice(list(IN_A_SAVE))]
    moments = [(str(place), int(generator.integers(1, 6))) for place in generator.permutation(places)]
    rows = faulty(tmp_path / "killed", EPOCHS, moments)
    assert [row["killed"] for row in rows] == [True] * 3, "a run that was not killed proves nothing"
    assert all(row["repeated"] <= OPTIONS["save_steps"] for row in rows), rows
    (tmp_path / "straight").mkdir()
    run(tmp_path / "straight", EPOCHS)
    assert reached(tmp_path / "killed") == reached(tmp_path / "straight") == 18
    for name in ("model/model.safetensors", "model/config.json", "log.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    kept = {path.name for path in (tmp_path / "killed").iterdir()}
    assert kept == {path.name for path in (tmp_path / "straight").iterdir()}, "nothing partial stays"
