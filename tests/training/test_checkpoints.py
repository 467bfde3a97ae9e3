"""Checkpoints: whole or absent, whatever goes wrong while they are written."""

import errno
import shutil
from pathlib import Path

import pytest

from genomic_lens.errors import ConfigurationError, ModelError, TrainingError
from genomic_lens.training.checkpoints import atomic_folder, check_checkpoint, last_checkpoint

FULL = OSError(errno.ENOSPC, "No space left on device")


def tree(folder):
    """All files below a folder, hidden ones too, with their content."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(folder, text):
    with atomic_folder(folder) as place:
        (place / "weights").write_text(text)
        (place / "deeper").mkdir()
        (place / "deeper" / "note").write_text(text)


def test_a_folder_appears_whole_under_its_name(tmp_path):
    final = tmp_path / "not" / "yet" / "checkpoint-1"
    with atomic_folder(final) as place:
        (place / "weights").write_text("one")
        assert not final.exists()
        assert place.parent == final.parent, "a rename is atomic within one file system only"
    assert tree(tmp_path) == {"not/yet/checkpoint-1/weights": "one"}


def test_a_folder_of_the_name_is_replaced_and_not_mixed_with(tmp_path):
    write(tmp_path / "model", "old")
    with atomic_folder(tmp_path / "model") as place:
        (place / "weights").write_text("new")
    assert tree(tmp_path) == {"model/weights": "new"}


@pytest.mark.parametrize("error", [FULL, RuntimeError("file write failed"), KeyboardInterrupt(), ZeroDivisionError()])
@pytest.mark.parametrize("older", [True, False])
def test_an_error_leaves_nothing_partial_and_keeps_the_old(tmp_path, error, older):
    if older:
        write(tmp_path / "model", "old")
    before = tree(tmp_path)

    def fail_halfway():
        with atomic_folder(tmp_path / "model") as place:
            (place / "weights").write_text("half of n")
            raise error

    with pytest.raises(TrainingError if isinstance(error, (OSError, RuntimeError)) else type(error)):
        fail_halfway()
    assert tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"] * older


def test_the_message_says_what_and_why(tmp_path):
    message = r"checkpoint-3 could not be written \(No space left on device\)"
    with pytest.raises(TrainingError, match=message), atomic_folder(tmp_path / "checkpoint-3"):
        raise FULL


def test_a_full_disk_behind_a_model_error_is_a_full_disk(tmp_path):
    """`save_pretrained` has turned the disk's error into its own; what it was must not be lost."""
    with pytest.raises(TrainingError, match="could not be written"), atomic_folder(tmp_path / "model"):
        raise ModelError("The model cannot be saved") from FULL


def test_other_errors_of_ours_pass_as_they_are(tmp_path):
    with pytest.raises(ConfigurationError, match="as it is"), atomic_folder(tmp_path / "model"):
        raise ConfigurationError("as it is")
    with pytest.raises(ModelError, match="as it is"), atomic_folder(tmp_path / "model"):
        raise ModelError("as it is")


def test_what_a_killed_run_left_does_not_get_into_the_next(tmp_path):
    (tmp_path / ".model.partial").mkdir()
    (tmp_path / ".model.partial" / "stale").write_text("of a killed run")
    write(tmp_path / "model", "new")
    assert tree(tmp_path) == {"model/weights": "new", "model/deeper/note": "new"}


def test_a_place_that_cannot_be_written_to_is_a_training_error(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TrainingError, match="could not be written"), atomic_folder(tmp_path / "file" / "model"):
        pass


@pytest.mark.parametrize("step", ["rmtree", "rename"])
def test_the_old_folder_or_the_new_is_there_whole_when_its_replacement_fails(tmp_path, monkeypatch, step):
    """Deleting takes time, and a kill in the midst of it must not leave half a checkpoint under a valid name."""
    write(tmp_path / "checkpoint-3", "old")
    write(tmp_path / "new", "new")

    def fail(*arguments, **options):
        raise KeyboardInterrupt

    def replace():
        with atomic_folder(tmp_path / "checkpoint-3") as place:
            shutil.copytree(tmp_path / "new", place, dirs_exist_ok=True)
            monkeypatch.setattr(*((shutil, "rmtree") if step == "rmtree" else (Path, "rename")), fail)

    with pytest.raises(KeyboardInterrupt):
        replace()
    left = tree(tmp_path / "checkpoint-3")
    assert left in ({"weights": "old", "deeper/note": "old"}, {"weights": "new", "deeper/note": "new"})


# --- which one ------------------------------------------------------------------------------------------------------


def test_the_last_checkpoint_is_that_of_the_highest_step(tmp_path):
    """By number and not by name or date: 100 comes after 20, and what is no checkpoint does not count."""
    assert last_checkpoint(tmp_path) is None
    for name in ("checkpoint-100", "checkpoint-20", "checkpoint-3", "checkpoint-old", "checkpoint-300.bak", "model"):
        (tmp_path / name).mkdir()
    (tmp_path / ".checkpoint-200.partial").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
    assert last_checkpoint(str(tmp_path / "missing")) is None


NEEDED = ("config.json", "model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def test_a_whole_checkpoint_passes(tmp_path):
    for name in NEEDED:
        (tmp_path / name).touch()
    assert check_checkpoint(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("missing", [NEEDED[:1], NEEDED[1:3], NEEDED])
def test_a_checkpoint_is_refused_with_what_it_lacks(tmp_path, missing):
    for name in set(NEEDED) - set(missing):
        (tmp_path / name).touch()
    with pytest.raises(TrainingError, match=f"it lacks {', '.join(missing)};"):
        check_checkpoint(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no whole checkpoint"):
        check_checkpoint(tmp_path / "missing")
