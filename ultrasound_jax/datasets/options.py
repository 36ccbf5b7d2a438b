"""The options of a build: what they may be, and the name that tells them.

A dataset's options are the fields of a dataclass; its builder's `CONFIG` is that class,
and `Builder.make_config(**options)` checks and names them.
"""

import dataclasses
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from ultrasound_jax.datasets.errors import DatasetError

Numbers = tuple[type, float, float]  # int or float, smallest and largest allowed
Choices = Sequence[str]


@dataclasses.dataclass(frozen=True)
class Text:
    """An option that holds words of the user's own, such as headings of a sheet.

    said: what it may be, in words. pattern: what the whole text must match. A config's
    name has a hash of such texts: `BuildConfig.told_apart`.
    """

    said: str
    pattern: str = r"[^\x00-\x1f\x7f]{0,2000}"


@dataclasses.dataclass(kw_only=True)
class BuildConfig(tfds.core.BuilderConfig, ABC):
    """The options of a build; two that differ in anything differ in their name.

    A subclass adds its options with their defaults, and in ALLOWED what those may be
    that are not yes or no.
    """

    ALLOWED: ClassVar[Mapping[str, Numbers | Choices | Text]] = {}

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Every option with its default, in their order."""
        known = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
        fields = dataclasses.fields(cls)
        return {one.name: one.default for one in fields if one.name not in known}

    @classmethod
    def refusal(cls, option: str, value: Any) -> str:
        """What is allowed instead of this value of an option; empty if it is fine."""
        allowed: Any = cls.ALLOWED.get(option)
        if isinstance(cls.options()[option], bool):
            return "" if isinstance(value, bool) else "True or False"
        if isinstance(allowed, Text):
            fits = isinstance(value, str) and re.fullmatch(allowed.pattern, value)
            return "" if fits else allowed.said
        if isinstance(allowed[0], type):
            kind, low, high = allowed
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and low <= value <= high and kind(value) == value:
                return ""
            return f"a {'whole ' if kind is int else ''}number from {low} to {high}"
        return "" if value in allowed else ", ".join(allowed)

    def contradiction(self, given: Collection[str]) -> str:
        """What is wrong about options that contradict each other; empty if nothing is.

        Args:
            given: the options that were not left out.
        """
        del given
        return ""

    @abstractmethod
    def title(self) -> str:
        """The name: letters, digits and `_` only, and no two options alike."""

    def told_apart(self) -> str:
        """Eight hexadecimal digits of the texts that differ from the default, or ""."""
        texts = {
            key: getattr(self, key)
            for key, default in self.options().items()
            if isinstance(self.ALLOWED.get(key), Text) and getattr(self, key) != default
        }
        if not texts:
            return ""
        content = json.dumps(texts, sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:8]

    def told(self) -> str:
        """The options in words."""
        return ", ".join(f"{key}={getattr(self, key)}" for key in self.options())


def checked_config(
    kind: type[BuildConfig], dataset: str, options: Mapping[str, Any]
) -> Any:
    """A config of `kind` with a name and a description of its options.

    Raises:
        DatasetError: an option is unknown, its value is not allowed, or two options
            contradict each other.
    """
    defaults = kind.options()
    for key, value in options.items():
        if key not in defaults:
            allowed = ", ".join(defaults)
            raise DatasetError(f"{dataset} has no option {key!r}, allowed: {allowed}")
        if said := kind.refusal(key, value):
            raise DatasetError(f"{dataset} {key}={value!r}, allowed: {said}")
    chosen = {k: type(v)(options.get(k, v)) for k, v in defaults.items()}
    config = kind(name="unnamed", **chosen)
    if said := config.contradiction(options):
        raise DatasetError(f"{dataset} {said}")
    return dataclasses.replace(config, name=config.title(), description=config.told())


class WithOptions:
    """What every builder has: the class of its options, and configs made of them."""

    CONFIG: ClassVar[type[BuildConfig]]
    name: ClassVar[str]
    BUILDER_CONFIGS: ClassVar[list[Any]]
    builder_config: Any

    @classmethod
    def make_config(cls, **options: Any) -> Any:
        """The config of these options, those left out being the default's.

        Raises:
            DatasetError: as `checked_config`.
        """
        config = checked_config(cls.CONFIG, cls.name, options)
        # TFDS takes a shipped config only as the very object that it ships.
        shipped = {known.name: known for known in cls.BUILDER_CONFIGS}
        return shipped.get(config.name, config)

    @property
    def config(self) -> Any:
        """The options of this build: the `CONFIG` of the class.

        Raises:
            DatasetError: it was not made by `make_config`.
        """
        if not isinstance(self.builder_config, self.CONFIG):
            raise DatasetError(
                f"{self.name} config {self.builder_config!r}, allowed is what "
                "make_config returns"
            )
        return self.builder_config
