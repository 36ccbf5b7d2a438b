"""Weights to start from, what they were trained on, and who must not be in the test.

Weights come from a file, or from a run (`pretrained.py`). A run and the files that are
written of it tell their `about`:

{"network": its name, "classes": [...], "weights": their hash,
 "trained_on": [{"dataset", "options": of its builder, "data_hash", "seen": hash of all
   patients that trained or validated, "patients": hashes of each, in runs only}, …]}

The last is a list, since a run may itself have started from another. A patient that the
weights have seen makes a test worthless, whatever is trained behind them.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ultrasound_jax.data import source as sources
from ultrasound_jax.data.examples import PSEUDONYM, ExampleTable, SplitError, some
from ultrasound_jax.models import torch_weights
from ultrasound_jax.types import Settings

ABOUT = "ultrasound_jax"  # the key of a safetensors file's metadata that holds it
_DIGITS = 16


@dataclass(frozen=True)
class Start:
    """Weights under PyTorch's names, how messages call them, and what they tell."""

    source: str
    state: Mapping[str, np.ndarray] = field(repr=False)
    about: Mapping[str, Any] = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """What their head tells apart; None where they do not say."""
        classes = self.about.get("classes")
        return None if classes is None else tuple(classes)


def of_file(path: Path) -> Start:
    """The weights of a safetensors file, with what it tells of them.

    Raises:
        ModelError: it is none.
    """
    state = torch_weights.read_safetensors(path)
    about, found = _told(path), weights_hash(state)
    if about.get("weights") != found:
        about = {}  # none, or somebody has changed the weights and kept the words
    return Start(str(path), state, about | {"weights": found})


def _told(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
    except (OSError, SafetensorError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) and _is_told(about) else {}


def _is_told(about: Mapping[str, Any]) -> bool:
    """Whether it is written as this module writes it, not as somebody else would."""
    classes, entries = about.get("classes"), about.get("trained_on", [])
    texts = classes is None or (
        isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    )
    return (
        texts and isinstance(entries, list) and all(_is_entry(one) for one in entries)
    )


def _is_entry(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("options"), dict):
        return False
    texts = [one.get(name) for name in ("dataset", "data_hash", "seen")]
    hashes = one.get("patients", [])
    return isinstance(hashes, list) and all(
        isinstance(text, str) for text in [*texts, *hashes]
    )


def weights_hash(state: Mapping[str, np.ndarray]) -> str:
    """Names a state dict by its names, types, shapes and values."""
    content = hashlib.sha256()
    for name in sorted(state):
        value = np.ascontiguousarray(state[name])
        content.update(f"{name} {value.dtype} {value.shape} ".encode())
        content.update(value.reshape(-1).view(np.uint8).data)
    return content.hexdigest()[:_DIGITS]


def training_data(
    dataset: str, options: Mapping[str, Any], data_hash: str, patients: Iterable[str]
) -> dict[str, Any]:
    """An entry of `trained_on`: patients are those that trained or validated."""
    seen = sorted(set(patients))
    return {
        "dataset": dataset,
        "options": dict(options),
        "data_hash": data_hash,
        "seen": seen_hash(seen),
        "patients": [_hashed(patient) for patient in seen],
    }


def without_patients(trained_on: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same as a file that is given away may tell it."""
    return [{k: v for k, v in one.items() if k != "patients"} for one in trained_on]


def seen_hash(patients: Iterable[str]) -> str:
    """Names a set of patients."""
    return _hashed("\n".join(sorted(set(patients))))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def check_unseen(
    start: Start,
    data: Settings,
    table: ExampleTable,
    indices: Mapping[str, np.ndarray],
    say: Callable[[str], object],
) -> None:
    """Refuses weights that have seen a patient of the test split.

    Validation patients that they have seen are told: what is selected on them is.
    Weights that do not tell what they were trained on are let through, which is told.

    Raises:
        SplitError: they have, or it is the same data and nobody can say.
    """
    who = {
        part: {table.patient_id[i] for i in indices[part]}
        for part in ("train", "validation", "test")
    }
    trained_on = start.about.get("trained_on")
    if not trained_on:
        say(
            f"{start.source} does not say which patients it has seen; if any of "
            f"{table.dataset or data.name} are among them, the test is void"
        )
        return
    for entry in trained_on:
        if "patients" in entry:
            seen = {part: _among(entry, data, them) for part, them in who.items()}
            if both := seen["test"]:
                raise SplitError(
                    f"config.init_from={start.source} has trained on {len(both)} of "
                    f"the {len(who['test'])} test patients: {some(both)}. Nothing "
                    "could be judged; give the splits that it was trained with "
                    "(config.data.manifest=RUN/splits.json), or other weights"
                )
            if both := seen["validation"]:
                say(
                    f"{start.source} has trained on {len(both)} of the "
                    f"{len(who['validation'])} validation patients, which favours it"
                )
        elif entry.get("data_hash") == table.data_hash and entry.get("seen") not in (
            seen_hash(who["train"] | who["validation"]),
            seen_hash(who["train"]),
        ):
            raise SplitError(
                f"config.init_from={start.source} was trained on this very dataset, by "
                "other splits, and a file does not say on whom; give the folder of the "
                "run that it was written of, or the run's splits "
                "(config.data.manifest=RUN/splits.json)"
            )


def _among(entry: Mapping[str, Any], data: Settings, patients: set[str]) -> set[str]:
    """Which patients an entry of `trained_on` has, as far as ids can tell.

    Pseudonyms by a key are the same person's anywhere; other ids only where they are of
    the same builder with options that leave them their meaning.
    """
    known = set(entry["patients"])
    both = {patient for patient in patients if _hashed(patient) in known}
    if entry["dataset"] == data.name:
        options = sources.builder_options(
            data.name, data.options.to_dict(), data.data_dir
        )
        apart = sources.builder_class(data.name).OTHER_PATIENTS
        if all(options[name] == entry["options"].get(name) for name in apart):
            return both
    return {patient for patient in both if PSEUDONYM.fullmatch(patient)}
