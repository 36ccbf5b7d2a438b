"""Anybody's pictures in folders, with masks and a sheet of patients if there are."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.folder import summary
from ultrasound_jax.datasets.folder.files import (
    SOURCES,
    Found,
    Picture,
    look_through,
    with_classes,
    with_ids,
)
from ultrasound_jax.datasets.folder.options import FolderConfig
from ultrasound_jax.datasets.folder.patients import (
    MEANS,
    notes_on,
    told_by,
    with_patients,
)
from ultrasound_jax.datasets.folder.record import make_record
from ultrasound_jax.datasets.folder.sheet import Sheet, find_sheet, read_sheet
from ultrasound_jax.datasets.image_builder import SPLIT, ImageBuilder
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv
from ultrasound_jax.types import InputError

PAGE = "build.md"  # beside the records


class Builder(ImageBuilder):
    """Pictures in folders: options say where classes, masks and patients are told of.

    Classes are the folder's, so that a set that is not built yet has no features; they
    are known when it is looked through, and kept with the records.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "Masks shrink by what covers a pixel; small pieces keep one.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Your own pictures: --manual_dir=DIR with DIR/<class>/<picture> and "
        "DIR/patients.csv with the columns file and patient; options of the set's "
        "README say where masks lie, and of other layouts."
    )
    CONFIG = FolderConfig
    OTHER_PATIENTS = ("study",)
    BUILDER_CONFIGS: ClassVar[list[FolderConfig]] = [
        checked_config(FolderConfig, "folder", {})
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(metadata=tfds.core.MetadataDict())

    def page(self) -> str:
        """Where the page of the build is."""
        return str(Path(self.data_path) / PAGE)

    def outdated(self, manual_dir: Path) -> str:
        """As `ScalableBuilder.outdated`; a sheet that lies elsewhere counts as well."""
        now = _hash(
            find_sheet(manual_dir, self.config) if self._reads_sheet() else None
        )
        if (self.info.metadata or {}).get("sheet_hash", "") == now:
            return super().outdated(manual_dir)
        return (
            f"was built from another sheet; delete the folder {self.data_dir} to build "
            "it anew, or keep both: data.options.study='…'"
        )

    def _reads_sheet(self) -> bool:
        config = self.config
        return config.wants_sheet or config.patient_from == "sheet_or_likeness"

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> Any:
        root, config = self.manual_folder(dl_manager), self.config
        self._found = look_through(root, config)
        self._sheet = self._read_sheet(root)
        of_sheet = self._sheet.classes if self._sheet else None
        pictures, self._classes = with_classes(self._found, config, of_sheet)
        self._pictures = with_ids(pictures, self._found, config)
        self._declare()
        return super()._generate_splits(dl_manager, download_config)

    def _read_sheet(self, root: Path) -> Sheet | None:
        path = find_sheet(root, self.config) if self._reads_sheet() else None
        return read_sheet(path, self._found, self.config) if path else None

    def _declare(self) -> None:
        """Gives the set the features that its folder asks for."""
        classes, told = self._classes, told_by(self.config, self._sheet)
        info = self.image_info(
            classes=classes or self.mask_classes()[:1],
            licence="Yours: that of the study that the pictures are from",
            mask=self.config.has_masks,
            label=bool(classes),
            metadata={"notes": [], "patients_are": MEANS[told], "counts": {}},
        )
        # TFDS asks for features when a builder is made, before any file is at hand.
        self.info._features = info.features
        if self.info.metadata is not None:
            self.info.metadata.update(info.metadata or {})

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        config, sheet = self.config, self._sheet
        paths = [picture.path for picture in self._pictures]
        how = self.reading(paths)
        self._pictures = with_patients(self._pictures, self._found, config, sheet, how)
        told = told_by(config, sheet)
        notes = notes_on(self._pictures, self._classes, told)
        self._notes = [*(sheet.notes if sheet else ()), *notes]
        for note in self._notes:
            logging.warning("folder: %s", note)
        self._tell_left(sheet)
        masked = config.has_masks
        make = partial(make_record, how, self._classes, masked)
        return {SPLIT: self.examples(self._pictures, make, ahead=2, unit="images")}

    def _tell_left(self, sheet: Sheet | None) -> None:
        """What is not used: by name, or counted where names are told to nobody."""
        found = self._found
        for path in found.sheets:
            if sheet is None or not path.samefile(sheet.path):
                found.leave(path, "a sheet that is not read")
        if self.config.ids == "as_written":
            for path, reason in found.left:
                self.skip(path.relative_to(found.root).as_posix(), reason)
        else:
            counted = Counter(reason for _, reason in found.left)
            for reason, count in counted.items():
                self.skip(f"{count} files", reason)
        for row in sheet.rows if sheet else ():
            self.skip(f"row {row} of the sheet", "there is no such picture")

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What was used, counted and left out; writes the page and the private list."""
        unread = {one.name for one in skipped}
        used = [one for one in self._pictures if one.image_id not in unread]
        told = {
            "counts": summary.counts(used),
            "notes": self._notes,
            "sheet_hash": _hash(self._sheet.path if self._sheet else None),
        }
        metadata = {**super().account(facts, skipped), **told}
        if self.config.ids == "counted":
            self._write_sources(self._found, self._pictures, skipped)
        everything = {**(self.info.metadata or {}), **metadata}
        text = summary.page(everything, self.info.full_name)
        write_whole(Path(self.data_path) / PAGE, text)
        logging.info("folder %s:\n%s", self.config.name, text)
        return metadata

    def _write_sources(
        self, found: Found, pictures: Sequence[Picture], skipped: Sequence[Skipped]
    ) -> None:
        study = self.config.study
        name = f"{study}.{SOURCES}" if study else SOURCES
        rows = summary.sources(found, pictures, skipped)
        try:
            write_whole(found.root / name, people_csv(rows), mode=0o600)
        except InputError:
            self._notes.append(f"{name} could not be written into the folder")


def _hash(sheet: Path | None) -> str:
    """Names a sheet by its content; "" for none."""
    return hashlib.sha256(sheet.read_bytes()).hexdigest() if sheet else ""
