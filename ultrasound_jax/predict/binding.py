"""What belongs to a run: hashes of its examples, splits, class names and settings.

They stand in `model.json` and in every checkpoint. Whoever continues, judges or uses
the run compares them with what is there, and refuses what is not the same: a
`splits.json` that was edited would report training patients as test, and class names in
another order the same numbers under other names.

No path, time or machine is part of a hash: a run's folder may be moved, and a dataset
that is built again from the same files gives the same. A run of an earlier version has
none; it is used as before, and that nothing could be compared is said.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ultrasound_jax.config import flatten
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.spec import Spec
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.types import Settings, UltrasoundError
from ultrasound_jax.workdir import FREE

KEY = "bound"  # in model.json


class BindingError(UltrasoundError):
    """Parts that do not belong to one run."""


def bound_of(experiment: Experiment) -> dict[str, str]:
    """The hashes of an experiment, by what they are of."""
    config, manifest = experiment.config, experiment.manifest
    found = {
        "data": hash_of_examples(experiment.source.table),
        "classes": hash_of_classes(experiment.task.spec),
        "run": hash_of_settings(config),
    }
    if manifest is not None:
        found["splits"] = hash_of_splits(manifest, config.data)
    return found


def hash_of_examples(table: ExampleTable) -> str:
    """Names who is who, what is annotated, and by `data_hash` the pixels, in order."""
    ids = (table.example_id, table.video_id, table.patient_id)
    return _hash([table.data_hash, ids, table.labels.tolist()])


def hash_of_splits(manifest: Manifest, data: Settings) -> str:
    """Names who trains, validates and tests: the parts, and what is made of them."""
    parts = {
        name: [sorted(part.patients), sorted(part.examples)]
        for name, part in manifest.parts.items()
    }
    return _hash([parts, data.protocol, data.fold])


def hash_of_classes(spec: Spec) -> str:
    """Names what the columns of labels and the values of masks mean, in order."""
    return _hash({name: field.classes for name, field in spec.items() if field.classes})


def hash_of_settings(config: Settings) -> str:
    """Names what was trained: every setting that changes what is computed."""
    return _hash({k: v for k, v in flatten(config) if k not in FREE})


def check(
    about: Mapping[str, Any],
    found: Mapping[str, str],
    *,
    where: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Refuses what is not what a run's `model.json` was bound to.

    Args:
        about: what `model.json` says.
        found: hashes of what is there.
        where: by the same names, where that was found.
        say: told if the run is from before there was anything to compare.

    Raises:
        BindingError: something is not the run's.
    """
    known = about.get(KEY)
    if not known:
        say(unbound(where["run"]))
        return
    told = {
        "data": "the examples (ids, labels or pixels)",
        "classes": "the class names",
        "splits": "the patients who train, validate and test (or data.fold or "
        "data.protocol in config.json)",
    }
    for name, what in told.items():
        if name in found and found[name] != known.get(name):
            raise BindingError(
                f"{where[name]}: {what} are not those that the run in "
                f"'{where['run']}' was trained with ({found[name][:12]}, there "
                f"{str(known.get(name))[:12]}); bring back what it was trained with"
            )


def unbound(folder: str | Path) -> str:
    """What is said of a run that has no hashes."""
    return (
        f"'{folder}' was made before runs were bound to their data: whether splits, "
        "class names and weights belong together cannot be checked"
    )


def digest(tree: Mapping[str, Any]) -> str:
    """The hash of a JSON object, of which a key `digest` is left out."""
    return _hash({k: v for k, v in tree.items() if k != "digest"})


def file_digest(path: Path) -> str:
    """SHA-256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_judged(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Refuses a predictions table that is not the one that metrics.json was made of.

    Raises:
        BindingError: it is another one.
    """
    path = folder / "predictions.csv"
    known = metrics.get("run", {}).get("predictions_sha256")
    if known and path.is_file() and file_digest(path) != known:
        raise BindingError(
            f"{path} is not the table that metrics.json beside it was computed from; "
            f"judge the run again: --mode evaluate --workdir '{folder}'"
        )


def _hash(tree: Any) -> str:
    text = json.dumps(tree, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
