"""Tasks: what a batch asks of a network, and how its answer is kept and judged.

A task is one file here, or a `package.module:Class` of a user's own; see
`tasks/_protocol.py` for what it says. The loop, the logs and the reports know no task
by name.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8

from ultrasound_jax.data.spec import Spec
from ultrasound_jax.runs.import_by_name import named
from ultrasound_jax.tasks._protocol import Task, TaskError, Term

__all__ = ["Task", "TaskError", "Term", "build", "names", "options_of"]


def names() -> list[str]:
    """The names of the tasks that are shipped."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return sorted(file.stem for file in files)


def _class_of(name: str) -> Any:
    setting = f"config.task.name='{name}'"
    module, _, attribute = name.partition(":")
    if not attribute:
        if name not in names():
            raise TaskError(
                f"{setting} is no task; there are: {', '.join(names())}, or "
                "package.module:Class of yours"
            )
        module, attribute = f"{__name__}.{name}", "TASK"
    found = named(module, attribute, setting=setting)
    missing = [part for part in ("NEEDS", "SELECT", "make") if not hasattr(found, part)]
    if missing:
        raise TaskError(f"{setting}: {attribute} has no {', '.join(missing)}")
    return found


def options_of(name: str) -> dict[str, Any]:
    """The options of a task with their defaults.

    Raises:
        TaskError: no such task, or one with an option that has no default.
    """
    parameters = inspect.signature(_class_of(name).make).parameters.values()
    own = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    for option in own:
        if option.default is option.empty:
            raise TaskError(
                f"config.task.name='{name}': its option {option.name} has no default; "
                "it needs one, which a run without it is made with"
            )
    return {option.name: option.default for option in own}


def build(
    name: str,
    spec: Spec,
    labels: Int8[np.ndarray, "n k"] | None = None,
    *,
    options: Mapping[str, Any],
    select: str = "loss",
) -> Task:
    """The task of that name on a dataset.

    Args:
        name: of a file here, or `package.module:Class`.
        spec: of the dataset; the task takes the fields that it needs of it.
        labels: of the training examples, for what is counted on them; None for a
            trained run, where the weights of classes no longer matter.
        options: the task's own.
        select: what validations are compared by.

    Raises:
        TaskError: no such task, an option that it does not have, or nothing that it
            can be selected by.
        SpecError: the dataset lacks what the task needs.
    """
    kind = _class_of(name)
    has = options_of(name)
    for option in options:
        if option not in has:
            raise TaskError(
                f"config.task.options.{option}: task '{name}' has no such option; it "
                f"has {', '.join(has) or 'none'}"
            )
    if select not in (*kind.SELECT, "loss"):
        raise TaskError(
            f"config.train.select={select!r} is not allowed: of task '{name}' it must "
            f"be one of {', '.join((*kind.SELECT, 'loss'))}"
        )
    may = [role for role in getattr(kind, "USES", ()) if spec.of_role(role)]
    asked = spec.only((*kind.NEEDS, *may), asked_by=f"task '{name}'")
    try:
        return kind.make(asked, labels, **options)
    except (TypeError, ValueError) as error:  # of a value that it cannot use
        said = " ".join(str(error).split())
        raise TaskError(f"task '{name}' refuses config.task.options: {said}") from error
