"""The command that starts the student's process: plain, or several at once under `accelerate launch`."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from student.errors import StudentError
from student.settings import Launch


def command(launch: Launch, module: str) -> list[str]:
    """The command line that runs `python -m MODULE` as settings say. Raises StudentError for a config file that is not there."""
    if launch.launcher == "none":
        return [sys.executable, "-m", module]
    words = [sys.executable, "-m", "accelerate.commands.launch"]
    if launch.accelerate_config is not None:
        _check(Path(launch.accelerate_config))
        words += ["--config_file", launch.accelerate_config]
    else:  # the words for several GPUs start several processes on a CPU too, joined by gloo
        words += [
            "--num_machines",
            "1",
            "--mixed_precision",
            "no",
            "--dynamo_backend",
            "no",
            "--main_process_port",
            "0",
        ]
    if launch.processes > 1:
        words += ["--multi_gpu", "--num_processes", str(launch.processes)]
    return [*words, "-m", module]


def _check(config: Path) -> None:
    """Raises StudentError for a config file that is not there, or asks for what a student's training does not do."""
    try:
        told = yaml.safe_load(config.read_text(encoding="utf-8"))
        kind = str(told.get("distributed_type", "NO"))
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise StudentError(
            f"student.accelerate_config={str(config)!r} cannot be read as a config of accelerate: {error}. Write one with "
            "`accelerate config --config_file FILE`, or leave it out and give student.processes."
        ) from error
    if kind not in ("NO", "MULTI_GPU", "MULTI_CPU"):
        raise StudentError(
            f"{config} asks for {kind}. A student is trained data parallel, each process with the whole model: set "
            "distributed_type to MULTI_GPU there. Students that need to be cut up are larger than this program is for."
        )
