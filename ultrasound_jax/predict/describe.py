"""Says what a trained run is: fields, classes, network, thresholds, where it is from.

Reads `model.json` in the run's folder; weights and dataset are not opened.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultrasound_jax.data.spec import Spec
from ultrasound_jax.predict import model_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this verb takes."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a trained run's folder")


def run(given: argparse.Namespace) -> int:
    """Prints the description; returns the exit code."""
    about = model_file.read(given.run)
    with model_file.sensible(given.run):
        told = lines(about)
    print("\n".join(told))
    return 0


def lines(about: Mapping[str, Any]) -> list[str]:
    """What `model.json` says, a fact a line."""
    network, task, made = about["network"], about["task"], about["made"]
    preprocessing = about["preprocessing"]
    found = [
        f"network: {model_file.network_name(network)}, {network['outputs']} outputs, "
        f"{network['dtype']}",
        *(f"  {name}: {value}" for name, value in network["options"].items()),
        f"task: {task['name']}, decided by {task['decision']}",
        f"classes: {', '.join(about['classes'])}",
        f"trained on: {preprocessing['dataset']}",
        *(f"  {name}: {value}" for name, value in preprocessing["options"].items()),
    ]
    for name, field in Spec.from_json(about["spec"]).items():
        longest = f", up to {field.longest} long" if field.padded else ""
        shape = " x ".join("?" if n is None else str(n) for n in field.shape) or "one"
        found.append(f"field {name}: {field.role}, {field.dtype} {shape}{longest}")
    for level, of_level in (about["thresholds"] or {}).items():
        told = (
            f"{name} {'none' if value is None else f'{value:.3f}'}"
            for name, value in of_level.items()
        )
        found.append(f"thresholds of {level}: {', '.join(told)}")
    if "init" in about:
        found.append(f"started from: {model_file.started_from(about['init'])}")
    return [*found, f"made: {made['date']}, commit {made['commit']}, {made['command']}"]
