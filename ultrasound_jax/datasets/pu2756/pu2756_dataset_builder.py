"""PU2756: lung-tumour ultrasound with outlines, benign or malignant."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.image_builder import (
    SPLIT,
    ImageBuilder,
    MaskedConfig,
    find_root,
)
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.pu2756.files import list_pictures
from ultrasound_jax.datasets.pu2756.record import make_record
from ultrasound_jax.datasets.pu2756.sheet import (
    DIAGNOSES,
    FILE,
    LABELS,
    Examination,
    read_sheet,
)

PUBLISHED = {"benign": 1001, "malignant": 1755}


class Builder(ImageBuilder):
    """2756 examinations, their images and masks, from a nameless sheet."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "Masks shrink by what covers a pixel; small pieces keep one.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder with image/<examination>/<pictures>, mask/<examination>/<the "
        f"same names, any ending> and {FILE} (or .xlsx) with the columns id, label2, "
        "label6, fold and, if known, patient: --manual_dir=DIR. Never the published "
        "spreadsheets: they hold patients' names."
    )
    CONFIG = MaskedConfig
    BUILDER_CONFIGS: ClassVar[list[MaskedConfig]] = [
        checked_config(MaskedConfig, "pu2756", options)
        for options in ({}, {"size": 256})
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.image_info(
            classes=LABELS,
            homepage="https://github.com/Intelligent-Medical-Research-Group/PU2756",
            licence="None is given: ask the authors before using it",
            more={
                "label6": tfds.features.ClassLabel(names=list(DIAGNOSES)),
                "fold": np.int32,
            },
            metadata={"notes": [], "empty_masks": []},
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        manual_dir = self.manual_folder(dl_manager)
        places = (".", "pu2756", "PU2756")
        root = find_root(manual_dir, places, ["image"], dataset=self.name)
        sheet, book = root / FILE, (root / FILE).with_suffix(".xlsx")
        if book.exists() and not sheet.exists():
            sheet = book
        examinations, notes = read_sheet(sheet)
        notes += _compare(examinations)
        for note in notes:
            logging.warning("pu2756: %s", note)
        if self.info.metadata is not None:  # only its type says that it may be
            self.info.metadata["notes"] = notes
        self._skip_folders_without_row(root, examinations)
        paths = [path for one in examinations for path in _pictures(root, one)]
        make = partial(make_record, str(root), self.reading(paths))
        return {SPLIT: self.examples(examinations, make, ahead=2, unit="images")}

    def _skip_folders_without_row(
        self, root: Path, examinations: list[Examination]
    ) -> None:
        listed = {examination.folder for examination in examinations}
        folders = (path for path in (root / "image").iterdir() if path.is_dir())
        others = sum(path.name not in listed for path in folders)
        if others:
            self.skip(f"{others} folders of image", f"have no row in {FILE}")

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """Also lists the examinations without an outline."""
        empty = [fact.value for fact in facts if fact.name == "empty_mask"]
        return {**super().account(facts, skipped), "empty_masks": empty}


def _pictures(root: Path, examination: Examination) -> list[Path]:
    return [picture.path for picture in list_pictures(root, examination)[0]]


def _compare(examinations: list[Examination]) -> list[str]:
    counts = {
        label: sum(one.label == label for one in examinations) for label in LABELS
    }
    return [
        f"{label}: {counts[label]} examinations, published are {published}"
        for label, published in PUBLISHED.items()
        if counts[label] != published
    ]
