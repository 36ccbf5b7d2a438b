"""A shipped configuration with what a study changes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ultrasound_jax import config as settings
from ultrasound_jax.types import Settings


@runtime_checkable
class Files(Protocol):
    """Where files lie."""

    @property
    def configs(self) -> Path:
        """Of the configurations."""
        ...

    @property
    def manual_dir(self) -> str:
        """Of the datasets' files."""
        ...

    @property
    def data_dir(self) -> str:
        """Of built datasets."""
        ...

    @property
    def weights(self) -> str:
        """Of the encoder."""
        ...


@dataclass(frozen=True)
class Change:
    """What is changed of a configuration.

    options: of the dataset. changes: other settings by their key. phantom: a dataset in
    the place of the configuration's own, which then needs no files; "" keeps it.
    """

    options: Mapping[str, Any]
    changes: Mapping[str, Any]
    phantom: str = ""


def configured(where: Files, file: str, change: Change) -> Settings:
    """The settings of `configs/<file>`, changed; an encoder starts from `weights`."""
    config = settings.load(str(where.configs / file))
    options = config.data.options.to_dict()
    if change.phantom:
        config.data.name, options = change.phantom, {}
    else:
        config.data.manual_dir = where.manual_dir
    with config.data.unlocked():
        config.data.options = options | dict(change.options)
    config.data.data_dir = where.data_dir
    if config.init_part == "encoder":
        config.init_from = where.weights
    for key, value in change.changes.items():
        *path, last = key.split(".")
        node: Any = config
        for part in path:
            node = node[part]
        node[last] = value
    return config
