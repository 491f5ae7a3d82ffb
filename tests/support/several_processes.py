"""The command line in several processes of one machine, as `accelerate launch` starts them, on CPUs (gloo)."""

import json
import os
import subprocess
import sys
from pathlib import Path


def run_in_processes(arguments: list[str], processes: int, folder: Path) -> str:
    """Run `audiobert ARGUMENTS` in so many processes; return what they printed."""
    script = folder / "audiobert_command.py"
    script.write_text("from audiobert.cli import main\n\nmain()\n")
    # "--multi_gpu" is how accelerate calls several processes; the environment says that they are on CPUs.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    options = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    done = subprocess.run(
        [*launch, *options, str(script), *arguments],
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def logged_losses(folder: Path) -> list[float]:
    """Return the losses that a run's only checkpoint tells of."""
    (state,) = folder.glob("checkpoint-*/trainer_state.json")
    return [entry["loss"] for entry in json.loads(state.read_text())["log_history"] if "loss" in entry]
