"""What a setting names: a class or function of a module, ours or a user's own."""

import importlib
from typing import Any

from ultrasound_jax.types import UltrasoundError


class NotFoundError(UltrasoundError):
    """A name behind which nothing stands."""


def named(module: str, attribute: str, *, setting: str) -> Any:
    """What a module calls `attribute`.

    Args:
        module: as it is imported, e.g. `my_lab.networks`.
        attribute: a class or function in it.
        setting: what asked for it, for the message.

    Raises:
        NotFoundError: there is no such module, it cannot be imported, or it lacks the
            attribute.
    """
    try:
        found = importlib.import_module(module)
    except Exception as error:  # it is anybody's code
        raise NotFoundError(
            f"{setting}: module '{module}' cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, attribute):
        public = [name for name in vars(found) if not name.startswith("_")]
        raise NotFoundError(
            f"{setting}: module '{module}' has no {attribute}; it has "
            f"{', '.join(public) or 'nothing'}"
        )
    return getattr(found, attribute)
