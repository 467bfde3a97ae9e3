"""The command line: what it refuses, what it says, what it returns."""

import pytest

from genomic_lens import __version__
from genomic_lens.cli import commands
from genomic_lens.cli.splice_model import EPOCHS
from genomic_lens.errors import TrainingError


def test_refused_input_is_one_sentence_on_standard_error(capsys, tmp_path):
    assert commands.main(["demo", "--epochs", "0", "--out", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "genomic-lens: num_epochs is 0; expected a whole number of at least 1.\n"


def test_an_interruption_says_that_the_same_command_goes_on(capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "demo", interrupted)
    assert commands.main(["demo"]) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


def test_errors_that_are_not_ours_are_not_hidden(monkeypatch):
    """A bug must show its trace; only refused input is put in a sentence."""

    def broken(options):
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "demo", broken)
    with pytest.raises(ZeroDivisionError):
        commands.main(["demo"])


def test_a_full_disk_is_reported_as_such(capsys, monkeypatch):
    def full(options):
        raise TrainingError("The checkpoint could not be written (No space left on device); free space and resume.")

    monkeypatch.setattr(commands, "demo", full)
    assert commands.main(["demo"]) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        commands.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_the_number_of_epochs_stands_in_two_places_that_agree():
    """The parser must not import the model only to show its help."""
    assert commands.parser().parse_args(["demo"]).epochs == EPOCHS
