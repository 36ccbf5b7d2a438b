"""Policies as JSON: read, checked, written a sub-policy a line."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultrasound_jax.augment import AugmentError, _ranges, primitives
from ultrasound_jax.runs.files import at_home, write_whole
from ultrasound_jax.runs.json_text import strictly_parsed
from ultrasound_jax.types import Settings

KEYS = ("ranges", "sub_policies", "folds", "split")
# What tells one splitting of a dataset from another.
SPLIT = ("name", "protocol", "folds", "split_seed", "test_fraction", "manifest")


def split_of(data: Settings) -> dict[str, Any]:
    """What tells how `config.data` splits its dataset, apart from the fold."""
    return {key: data[key] for key in SPLIT[:-1]} | {"manifest": _digest(data.manifest)}


def _digest(manifest: str) -> str:
    """What tells a file with splits from another; "" for none."""
    if not manifest:
        return ""
    try:
        return hashlib.sha256(at_home(manifest).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise AugmentError(
            f"data.manifest={manifest!r} cannot be read: {error.strerror}"
        ) from error


def checked(file: str, policy: Mapping[str, Any] | None) -> dict[str, Any]:
    """A policy as the settings give it, or as its file has it.

    Raises:
        AugmentError: it is none.
    """
    if policy is None and not file:
        raise AugmentError("file='' is not allowed: give the policy's .json file")
    where = f"file={file!r}" if policy is None else "policy"
    content = _read(file) if policy is None else dict(policy)
    try:
        return _checked(content)
    except AugmentError as error:
        raise AugmentError(f"{where}: {error}") from error


def _read(file: str) -> dict[str, Any]:
    try:
        content = strictly_parsed(at_home(file).read_bytes())
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise AugmentError(f"file={file!r} cannot be read: {said}") from error
    if not isinstance(content, dict):
        raise AugmentError(f"file={file!r} is no policy: it must be an object")
    return {key: value for key, value in content.items() if key != "about"}


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    if strange := sorted(set(content) - set(KEYS)):
        raise AugmentError(f"{strange[0]!r} is no key: a policy has {', '.join(KEYS)}")
    ranges = content.get("ranges")
    if not isinstance(ranges, list | tuple) or not ranges:
        raise AugmentError(
            f"ranges={ranges!r} is not allowed: it must be a list of some of "
            f"{', '.join(primitives.SETS)}"
        )
    primitives.of_sets(ranges)
    if ("sub_policies" in content) == ("folds" in content):
        raise AugmentError("it must have either 'sub_policies' or 'folds'")
    folds = content.get("folds", {"": content.get("sub_policies")})
    if not isinstance(folds, Mapping) or not folds:
        raise AugmentError(f"folds={folds!r} is not allowed: it must be an object")
    for fold, sub_policies in folds.items():
        _check_list(sub_policies, f"folds.{fold}" if fold else "sub_policies", ranges)
    return content


def _check_list(sub_policies: Any, where: str, ranges: Any) -> None:
    if not isinstance(sub_policies, list | tuple) or not sub_policies:
        raise AugmentError(f"{where} must be a list of sub-policies")
    for place, sub in enumerate(sub_policies):
        at = f"{where}[{place}]"
        if not isinstance(sub, list | tuple) or not sub:
            raise AugmentError(f"{at}={sub!r} is not allowed: it must be a list")
        for step in sub:
            if not isinstance(step, list | tuple) or len(step) != 3:
                raise AugmentError(
                    f"{at}: {step!r} is not allowed: it must be "
                    "[NAME, PROBABILITY, MAGNITUDE]"
                )
            primitives.find(str(step[0]), ranges)
            for name, value in zip(("probability", "magnitude"), step[1:], strict=True):
                _ranges.number(f"{at}: {name}", value, 0.0, 1.0)


def of_fold(content: Mapping[str, Any], data: Settings | None, file: str) -> list:
    """The sub-policies for the fold that is trained; all of them for another dataset.

    A search has seen what other folds test on: its own fold's alone may be used.

    Args:
        content: a policy that was checked.
        data: `config.data`; None where nothing is trained yet, for all sub-policies.
        file: what it came from, for the message.

    Raises:
        AugmentError: it was searched on this dataset, but not for this fold.
    """
    if "folds" not in content:
        return list(content["sub_policies"])
    folds, split = content["folds"], content.get("split", {})
    if data is None or split.get("name", data.name) != data.name:
        return [sub for fold in sorted(folds) for sub in folds[fold]]
    if split and split != (own := split_of(data)):
        names = [key for key in SPLIT if split.get(key) != own[key]]
        raise AugmentError(
            f"file={file!r} was searched on another splitting of {data.name}, with "
            f"patients that are judged here: data.{names[0]}={own[names[0]]!r}, there "
            f"{split.get(names[0])!r}"
        )
    if str(data.fold) not in folds:
        raise AugmentError(
            f"file={file!r} was searched for the folds {', '.join(sorted(folds))}; "
            f"data.fold={data.fold} is not allowed, as they have seen its test patients"
        )
    return list(folds[str(data.fold)])


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a policy, whole or not at all."""
    lines = [f'"ranges": {json.dumps(content["ranges"])}']
    if "sub_policies" in content:
        lines.append(f'"sub_policies": {_listed(content["sub_policies"], 1)}')
    else:
        lines.append(f'"split": {json.dumps(content["split"])}')
        folds = [
            f'  "{fold}": {_listed(sub_policies, 2)}'
            for fold, sub_policies in content["folds"].items()
        ]
        lines.append('"folds": {\n' + ",\n".join(folds) + "\n }")
    if "about" in content:
        about = json.dumps(content["about"], indent=1).replace("\n", "\n ")
        lines.append(f'"about": {about}')
    write_whole(path, "{\n " + ",\n ".join(lines) + "\n}\n")


def _listed(sub_policies: Any, depth: int) -> str:
    space = " " * (depth + 1)
    rows = ",\n".join(f"{space}{json.dumps(sub)}" for sub in sub_policies)
    return f"[\n{rows}\n{' ' * depth}]"
