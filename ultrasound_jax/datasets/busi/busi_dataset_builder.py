"""BUSI (Al-Dhabyani et al. 2020): breast ultrasound with lesion masks, 3 classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.busi.duplicates import Duplicates, find_duplicates
from ultrasound_jax.datasets.busi.files import CLASSES, PUBLISHED, list_pictures
from ultrasound_jax.datasets.busi.record import make_record
from ultrasound_jax.datasets.image_builder import (
    SPLIT,
    ImageBuilder,
    MaskedConfig,
    find_root,
)
from ultrasound_jax.datasets.options import checked_config

FOLDER = "Dataset_BUSI_with_GT"
SINGLE = "an image, near duplicates of which may be anywhere"


@dataclass(kw_only=True)
class BusiConfig(MaskedConfig):
    """drop_duplicates, drop_cross_label: see `Duplicates.dropped`.

    by_image: every picture is its own patient. Near duplicates then stand on both sides
    of a split, as in most publications: to measure what that is worth, nothing else.
    """

    drop_duplicates: bool = False
    drop_cross_label: bool = False
    by_image: bool = False


class Builder(ImageBuilder):
    """780 breast ultrasound images; near duplicates are one `patient_id`."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "Masks shrink by what covers a pixel; small pieces keep one.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get BUSI from https://scholar.cu.edu.eg/?q=afahmy/pages/dataset and give the "
        f"folder that holds {FOLDER}: --manual_dir=DIR with DIR/{FOLDER}/"
        "{benign,malignant,normal}."
    )
    CONFIG = BusiConfig
    PATIENT = "a group of near duplicates, as the set names no patients"
    BUILDER_CONFIGS: ClassVar[list[BusiConfig]] = [
        checked_config(BusiConfig, "busi", options)
        for options in (
            {},
            {"size": 256},
            {"size": 256, "drop_duplicates": True, "drop_cross_label": True},
        )
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.image_info(
            classes=CLASSES,
            homepage="https://doi.org/10.1016/j.dib.2019.104863",
            licence="Research use with citation; the authors name no licence",
            more={"masks": np.int32, "calipers": np.int32},
            metadata={
                "duplicates": [],
                "cross_label_duplicates": [],
                "calipers": [],
                "against_label": [],
                "notes": [],
            },
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        manual_dir = self.manual_folder(dl_manager)
        places = (FOLDER, f"busi/{FOLDER}", ".")
        root = find_root(manual_dir, places, CLASSES, dataset=self.name)
        pictures, refused = list_pictures(root)
        notes = _compare(Counter(picture.label for picture in pictures))
        logging.info("busi: looking for near duplicates in %d images", len(pictures))
        how = self.reading([picture.path for picture in pictures])
        found = find_duplicates(pictures, self.config.size, how)
        for name, reason in (*refused, *found.refused):
            self.skip(name, reason)
        kept = self._kept(found)
        if self.info.metadata is not None:  # only its type says that it may be
            self.info.metadata.update(found.as_metadata(), notes=notes)
            if self.config.by_image:
                self.info.metadata["patients_are"] = SINGLE
        make = partial(make_record, how)
        return {SPLIT: self.examples(kept, make, ahead=2, unit="images")}

    def _kept(self, found: Duplicates) -> list[Any]:
        dropped = found.dropped(
            repeated=self.config.drop_duplicates,
            cross_label=self.config.drop_cross_label,
        )
        for place in sorted(dropped):
            self.skip(found.pictures[place].name, dropped[place])
        kept = [
            picture
            for place, picture in enumerate(found.pictures)
            if place not in dropped
        ]
        if self.config.by_image:
            return [replace(one, patient_id=one.image_id) for one in kept]
        return kept

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """Also lists images with burned-in calipers and masks against the label."""
        lists = {
            name: [fact.value for fact in facts if fact.name == name]
            for name in ("calipers", "against_label")
        }
        return {**super().account(facts, skipped), **lists}


def _compare(counts: Counter[str]) -> list[str]:
    notes = [
        f"{label}: {counts[label]} images, published are {published}"
        for label, published in PUBLISHED.items()
        if counts[label] != published
    ]
    for note in notes:
        logging.warning("busi: %s", note)
    return notes
