"""A training that kills itself, as `kill -9` would, at moments of one's choice.

    python -m tests.training.faults FOLDER EPOCHS '[["after a step", 2], ["before its name", 1]]'

Each attempt is a process of its own, a fork of one that has imported everything and trained nothing. It resumes what
lies in the folder, appends every step it makes to FOLDER/steps, and writes the model to FOLDER/model in the end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerState

from genomic_lens.training import checkpoints, trainer
from genomic_lens.training.checkpoints import last_checkpoint

from .conftest import build_data, build_trainer

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"save_steps": 3, "eval_steps": 2, "accumulation_steps": 2, "n_layers": 2, "batch_size": 2}
STEPS_AN_EPOCH = 6


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Watch(TrainerCallback):
    """Writes down every step, and knows which one it is."""

    def __init__(self, folder: Path, place: str, step: int):
        self.file, self.place, self.step, self.now = folder / "steps", place, step, 0

    def on_train_begin(self, args, state, control, **kwargs):
        with self.file.open("a") as file:
            file.write(f"from {state.global_step}\n")

    def on_step_end(self, args, state, control, **kwargs):
        self.now = state.global_step
        with self.file.open("a") as file:
            file.write(f"{self.now}\n")
        self.at("after a step")

    def on_substep_end(self, args, state, control, **kwargs):
        self.at("between two batches of a step")

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self.at("before the weights change")

    def at(self, place: str) -> None:
        if place == self.place and self.now >= self.step:
            die()


def half_written(watch: Watch) -> None:
    """The optimiser's file is half on the disk when the end comes."""
    save = torch.save

    def dying(thing, path, *rest, **options):
        save(thing, path, *rest, **options)
        if Path(path).name == "optimizer.pt" and watch.now >= watch.step:
            os.truncate(path, os.path.getsize(path) // 2)
            die()

    torch.save = dying


def all_but_the_state(watch: Watch) -> None:
    """All files are there but the last one."""
    TrainerState.save_to_json = before(TrainerState.save_to_json, watch)


def before_its_name(watch: Watch) -> None:
    """The checkpoint is whole and has not its name yet."""
    checkpoints.replace_folder = before(checkpoints.replace_folder, watch)


def between_two_names(watch: Watch) -> None:
    """A checkpoint of the same step has stepped aside, and the new one has not its name yet."""
    rename = Path.rename

    def dying(path, target):
        if path.name.endswith(".partial") and watch.now >= watch.step:
            die()
        return rename(path, target)

    Path.rename = dying


def half_deleted(watch: Watch) -> None:
    """The oldest checkpoint is half deleted."""
    rotate = trainer.rotate_checkpoints

    def dying(output_dir, limit, *rest, **options):
        kept = sorted(Path(output_dir).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
        if len(kept) > limit and watch.now >= watch.step:
            (kept[0] / "model.safetensors").unlink()
            die()
        return rotate(output_dir, limit, *rest, **options)

    trainer.rotate_checkpoints = dying


def before(function, watch):
    """The function, at which the process dies."""

    def dying(*arguments, **options):
        if watch.now >= watch.step:
            die()
        return function(*arguments, **options)

    return dying


IN_A_SAVE = {
    "optimiser half written": half_written, "all but the state": all_but_the_state, "before its name": before_its_name,
    "between two names": between_two_names, "oldest half deleted": half_deleted,
}  # fmt: skip
BY_THE_CLOCK = "by the clock"  # after so many tenths of a second, whatever happens then
PLACES = ("between two batches of a step", "before the weights change", "after a step", *IN_A_SAVE)


def run(folder: Path, epochs: int, place: str = "", step: int = 0) -> None:
    """Train to the end, or to the moment."""
    watch = Watch(folder, place, step)
    if place in IN_A_SAVE:
        IN_A_SAVE[place](watch)
    start = len(list(folder.glob("checkpoint-*")))  # other weights each time: all that counts lies in the folder
    validation = build_data(8, seed=5)
    trained = build_trainer(folder, start=start, validation=validation, callbacks=[watch], num_epochs=epochs, **OPTIONS)
    trained.train(resume=True)
    trained.save_checkpoint(folder / "model")


def attempt(folder: Path, epochs: int, place: str = "", step: int = 0) -> bool:
    """`run` in a process of its own; whether it was killed."""
    process = os.fork()
    if not process:
        code = 1
        try:
            run(folder, epochs, place, step)
            code = 0
        finally:
            os._exit(code)
    if place == BY_THE_CLOCK:
        time.sleep(0.1 * step)
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"the attempt ended with {status}"
    return os.WIFSIGNALED(status)


def train_with_faults(folder: Path, epochs: int, moments) -> list[dict]:
    """Kill a training at each (place, steps after the last checkpoint), then let it end; what each kill cost."""
    rows, folder = [], Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for place, after in moments:
        last = last_checkpoint(folder)
        begun = int(last.name.split("-")[1]) if last and place != BY_THE_CLOCK else 0
        step = after + begun
        killed = attempt(folder, epochs, place, step)
        last = last_checkpoint(folder)
        stood, saved = reached(folder), int(last.name.split("-")[1]) if last else 0
        rows.append({"place": place, "killed": killed, "step": stood, "repeated": stood - saved})
        if not killed:
            break
    if not (folder / "model").exists():
        attempt(folder, epochs)
    return rows


def reached(folder: Path) -> int:
    """The highest step that was ever made."""
    lines = (folder / "steps").read_text().split("\n") if (folder / "steps").exists() else []
    return max((int(line) for line in lines if line.isdigit()), default=0)


def faulty(folder: Path, epochs: int, moments: list) -> list[dict]:
    """`train_with_faults` in a process that has trained nothing yet."""
    command = [sys.executable, "-m", "tests.training.faults", str(folder), str(epochs), json.dumps(moments)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(train_with_faults(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))))
