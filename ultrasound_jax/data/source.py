"""Opens a built dataset by name, building it first where it is missing.

Pixels are copied once on their way to a batch: an ArrayRecord is read as bytes, the
clip is a view of them, and `Source.load` writes it into the batch's own array.
"""

import contextlib
import copy
import dataclasses
import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.data import seal
from ultrasound_jax.data.spec import INDEX, Batch, Spec
from ultrasound_jax.data.table_file import group_readers, read_table
from ultrasound_jax.runs.files import at_home
from ultrasound_jax.runs.import_by_name import named
from ultrasound_jax.runs.unfinished import sweep_folders
from ultrasound_jax.types import UltrasoundError

# What the system says where a disk is full, over its quota, broken or read-only.
_REFUSALS = [
    os.strerror(number)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
]


class SourceError(UltrasoundError):
    """A dataset that is unknown, cannot be built, or does not hold what it should."""


def known_datasets() -> list[str]:
    """The names of the builders in `ultrasound_jax/datasets`."""
    folder = Path(__file__).parent.parent / "datasets"
    return sorted(p.parent.name for p in folder.glob("*/*_dataset_builder.py"))


def builder_class(name: str) -> Any:
    """The builder of that name in `ultrasound_jax/datasets`, or `package.module:Class`.

    Raises:
        SourceError: there is none, or it is not made as a dataset here is.
    """
    module, _, attribute = name.partition(":")
    if not attribute:
        if name not in known_datasets():
            raise SourceError(
                f"config.data.name='{name}' is no dataset; there are: "
                f"{', '.join(known_datasets())}, or package.module:Builder of yours"
            )
        module = f"ultrasound_jax.datasets.{name}.{name}_dataset_builder"
        attribute = "Builder"
    found = named(module, attribute, setting=f"config.data.name='{name}'")
    for needed in ("make_config", "spec"):
        if not hasattr(found, needed):
            raise SourceError(
                f"config.data.name='{name}': {attribute} has no {needed}(); a dataset "
                "is a ClipBuilder or an ImageBuilder of ultrasound_jax.datasets"
            )
    return found


def open_builder(name: str, options: Mapping[str, Any], data_dir: str) -> Any:
    """The builder with these options, whether or not the dataset is built."""
    kind = builder_class(name)
    folder = str(at_home(data_dir)) if data_dir else None
    if folder:
        _check_folder(Path(folder))
    config = kind.make_config(**dict(options))
    try:
        return kind(config=config, data_dir=folder)
    except UltrasoundError:
        raise
    except Exception as error:  # TFDS has no common type for files it cannot read
        where = f"{folder or 'the folder of TFDS'}, {name}/{config.name}"
        raise SourceError(
            f"the built dataset in {where} cannot be opened: its dataset_info.json, "
            f"metadata.json or features.json is damaged ({_short(error)}); bring it "
            "back from a copy, or remove the folder to build it anew"
        ) from error


def _check_folder(folder: Path) -> None:
    """Refuses a place for datasets that is, or lies in, what is no folder."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise SourceError(
            f"data_dir '{folder}': '{there}' is no folder; allowed is a folder for "
            "built datasets, whether it is there or not"
        )


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def builder_options(
    name: str, options: Mapping[str, Any], data_dir: str = ""
) -> dict[str, Any]:
    """All options of a dataset's builder with their values, also those left out."""
    import tensorflow_datasets as tfds

    config = open_builder(name, options, data_dir).builder_config
    inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
    names = [f.name for f in dataclasses.fields(config) if f.name not in inherited]
    return {option: getattr(config, option) for option in names}


def prepare(
    name: str,
    *,
    options: Mapping[str, Any],
    data_dir: str = "",
    manual_dir: str = "",
    say: Callable[[str], None] = print,
    flag: str = "--config.data.manual_dir",
) -> None:
    """Builds the dataset unless it is there; says so when it does.

    `flag` is what a user gives the folder of their files with.
    """
    builder = open_builder(name, options, data_dir)
    folder = Path(builder.data_dir)
    if killed := sweep_folders(folder.parent, f"incomplete.*_{folder.name}"):
        say(f"removed {killed} unfinished of {builder.info.full_name}: builds killed")
    if builder.is_prepared():
        _check_up_to_date(builder, manual_dir, say)
        return
    import tensorflow_datasets as tfds

    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not manual_dir:
        raise SourceError(
            f"dataset {name} is built from files of yours: give {flag}=DIR, as "
            f"ultrasound_jax/datasets/{name}/README.md says"
        )
    say(f"dataset {builder.info.full_name} is not there: building {builder.data_dir}")
    manual = str(at_home(manual_dir).absolute()) if manual_dir else None
    with _writing(builder):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual)
        )
    if hasattr(builder, "page"):
        say(f"what was built: {builder.page()}")


@contextlib.contextmanager
def _writing(builder: Any) -> Iterator[None]:
    """Turns what a disk refuses into a line that names the dataset's folder.

    ArrayRecord and Beam raise a RuntimeError that quotes the system's words.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = [word for word in _REFUSALS if word in str(error)]
        if isinstance(error, UltrasoundError) or not said:
            raise
        raise SourceError(
            f"{builder.data_dir}: cannot be written: {said[0]}; nothing of the dataset "
            "is kept, and the same command builds it once that is mended"
        ) from error


def _check_up_to_date(
    builder: Any, manual_dir: str, say: Callable[[str], None]
) -> None:
    """Refuses files that are not those that the set was built from, where it can tell.

    A sheet that was mended, or another hospital's files, would be given in vain.
    """
    if not manual_dir or not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return
    if not hasattr(builder, "outdated"):  # one of somebody's own making
        return
    if said := builder.outdated(at_home(manual_dir)):
        raise SourceError(f"dataset {builder.info.full_name} {said}")
    if not builder.tells_files():
        say(
            f"dataset {builder.info.full_name} was built by an older version, which "
            f"did not keep of which files: what '{manual_dir}' has now is not looked at"
        )


def open_source(
    name: str, *, options: Mapping[str, Any], data_dir: str = ""
) -> "Source":
    """The opened dataset; SourceError where it is not built."""
    return Source(_built(name, options, data_dir))


def _built(name: str, options: Mapping[str, Any], data_dir: str) -> Any:
    builder = open_builder(name, options, data_dir)
    if not builder.is_prepared():
        raise SourceError(f"dataset {builder.info.full_name} is not built")
    return builder


class Source:
    """The examples of one built dataset.

    `spec` is what the builder declares, of `reading` the part that is read, and
    `declared` the whole; `patient` says what `patient_id` stands for
    where the files name no patients; `account` is what the builder noted (what was
    found, left out, known of a video); `table` has ids, labels and pixel hashes of all
    examples without their pixels; `records` is TFDS's own random access to whole
    records, whose feature `pixels` is the picture.
    """

    def __init__(self, builder: Any) -> None:
        self.name: str = builder.info.full_name
        self._folder = Path(builder.data_dir)
        self.spec: Spec = self._spec_of(builder)
        self.declared = self.spec
        self.account: dict[str, Any] = dict(builder.info.metadata or {})
        means = getattr(builder, "PATIENT", "")
        self.patient: str = self.account.get("patients_are", means)
        splits = sorted(builder.info.splits)
        if len(splits) != 1:
            raise SourceError(
                f"{self.name} has the splits {', '.join(splits)}; allowed is one, as "
                "patients are split here"
            )
        self.pixels = self.spec.of_role("pixels")[0]
        labels = self.spec.of_role("labels")
        self.classes = self.spec[labels[0]].classes if labels else ()
        with self._reading():
            self.records = builder.as_data_source(split=splits[0])
            self.table = read_table(
                self.records,
                self._folder,
                pixels=self.pixels,
                masks=self.spec.of_role("mask"),
                classes=self.classes,
                name=self.name,
                groups=group_readers(
                    {n: builder.info.features[n] for n in self.spec.of_role("group")}
                ),
            )

    def __len__(self) -> int:
        return len(self.table.example_id)

    def _spec_of(self, builder: Any) -> Spec:
        """What the builder declares; refused where its files say nothing sensible."""
        try:
            return builder.spec()
        except UltrasoundError:
            raise
        except Exception as error:  # of whatever stands in metadata.json
            raise SourceError(
                seal.changed_file(self._folder)
                or f"{self._folder / 'metadata.json'} does not say what the dataset "
                f"{self.name} has ({_short(error)}); bring it back from a copy, or "
                "remove the folder to build it anew"
            ) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turns what goes wrong in reading records into a line that names the file."""
        try:
            yield
        except (UltrasoundError, MemoryError):
            raise
        except Exception as error:  # ArrayRecord and TFDS have no common type
            files = ", ".join(p.name for p in seal.own_files(self._folder)[:3])
            raise SourceError(
                seal.changed_file(self._folder)
                or f"{self.name}: records in '{self._folder}' ({files}) cannot be read "
                f"({_short(error)}); bring the folder back from a copy, or remove it "
                "to build the dataset anew"
            ) from error

    def reading(self, spec: Spec) -> "Source":
        """The same examples, of which `load` reads the fields of `spec` only.

        Raises:
            SpecError: its examples are of several sizes and make no batch.
        """
        asked = copy.copy(self)
        asked.spec = spec
        spec.shapes()
        return asked

    def windowed(self, centre: float, width: float) -> "Source":
        """The same examples, seen through a window of Hounsfield units.

        Records stay as they are: the step applies it.

        Raises:
            SpecError: as `Spec.windowed`.
        """
        seen = self.reading(self.spec.windowed(centre, width))
        seen.declared = self.declared.windowed(centre, width)
        return seen

    def load(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Reads examples into a new batch; an index of -1 gives a filling row."""
        indices = np.asarray(indices, np.int32)
        batch = self.spec.empty(len(indices))
        batch[INDEX][:] = indices
        rows = np.flatnonzero(indices >= 0)
        with self._reading():
            records = self.records.__getitems__([int(i) for i in indices[rows]])
        names = [name for name in self.spec if name in batch]
        for row, record in zip(rows, records, strict=True):
            for name in names:
                self._fill(batch, int(row), name, record)
        return batch

    def _fill(
        self, batch: Batch, row: int, name: str, record: Mapping[str, Any]
    ) -> None:
        value, field = record[name], self.spec[name]
        self._check_size(value, name, record)
        if field.role == "mask" and value.max(initial=0) > len(field.classes):
            raise SourceError(
                f"{self.name}: {name} {record['example_id']!r} has the value "
                f"{value.max()}; of {', '.join(field.classes) or 'no structure'} it "
                f"must be at most {len(field.classes)}, 0 being the background"
            )
        if not field.padded:
            batch[name][row] = value
            return
        length = value.shape[0]
        if length > field.longest:
            raise SourceError(
                f"{self.name}: {name} {record['example_id']!r} has {length} frames, at "
                f"most {field.longest} are allowed"
            )
        batch[f"{name}_length"][row] = length
        batch[name][row, :length] = value

    def _check_size(self, value: Any, name: str, record: Mapping[str, Any]) -> None:
        """Refuses a record that does not have the shape that the dataset declares."""
        wanted, found = self.spec[name].shape, np.shape(value)
        pairs = zip(wanted, found, strict=False)
        if len(wanted) != len(found) or any(w not in (None, f) for w, f in pairs):
            raise SourceError(
                f"{self.name}: {name} {record['example_id']!r} is {found}, but "
                f"metadata.json and features.json in '{self._folder}' say {wanted}"
            )
