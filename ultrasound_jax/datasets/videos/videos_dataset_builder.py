"""Anybody's own videos, from a folder and a spreadsheet, as clips."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.data.spec import Field
from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.clip_builder import SPLIT, ClipBuilder
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.videos import contact_sheet, summary
from ultrasound_jax.datasets.videos.examples import cut_video
from ultrasound_jax.datasets.videos.files import find_sheet
from ultrasound_jax.datasets.videos.options import VideosConfig
from ultrasound_jax.datasets.videos.sheet import OwnVideos, read_study
from ultrasound_jax.media.writers import write_png
from ultrasound_jax.runs.files import write_whole

PAGE, PICTURE = "build.md", "contact_sheet.png"  # beside the records
DECODERS = 2  # threads, each with a worker process of its own


class Builder(ClipBuilder):
    """Own videos: what is found in them says a spreadsheet, a row a video.

    Findings and groups are the sheet's columns, so that a set that is not built yet
    has no features; they are known when the sheet is read, and kept with the records.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Your own videos: --manual_dir=DIR with any video or DICOM files in it and "
        "videos.csv or videos.xlsx: columns file, patient, one a finding with 1, 0 or "
        "nothing, and any others to group videos by."
    )
    BUILDER_CONFIGS: ClassVar[list[VideosConfig]] = [
        checked_config(VideosConfig, "videos", {})
    ]

    CONFIG = VideosConfig
    OTHER_PATIENTS = ("study",)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(metadata=tfds.core.MetadataDict())

    def longest(self) -> int:
        """As `ClipBuilder.longest`."""
        return self.config.longest

    def group_fields(self) -> dict[str, Field]:
        """The sheet's columns that are no findings."""
        names = (self.info.metadata or {}).get("groups", {})
        return {name: Field(shape=(), dtype="str", role="group") for name in names}

    def graded_fields(self) -> dict[str, Field]:
        """The sheet's columns of levels."""
        highest = (self.info.metadata or {}).get("levels", {})
        return {
            name: Field(
                shape=(),
                dtype="int8",
                role="number",
                classes=tuple(str(level) for level in range(top + 1)),
            )
            for name, top in highest.items()
        }

    def outdated(self, manual_dir: Path) -> str:
        """As `ScalableBuilder.outdated`."""
        now = _hash(find_sheet(manual_dir, self.config.sheet))
        if (self.info.metadata or {}).get("sheet_hash") == now:
            return super().outdated(manual_dir)
        return (
            "was built from another sheet; delete the folder "
            f"{self.data_dir} to build it anew, or keep both: data.options.study='…'"
        )

    def page(self) -> str:
        """Where the page and the picture of the build are."""
        return f"{self.data_path / PAGE}, {self.data_path / PICTURE}"

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> Any:
        folder = self.manual_folder(dl_manager)
        sheet = find_sheet(folder, self.config.sheet)
        self._study = read_study(folder, sheet, self.config)
        self._sheet_hash = _hash(sheet)
        self._declare(self._study)
        return super()._generate_splits(dl_manager, download_config)

    def _declare(self, study: OwnVideos) -> None:
        """Gives the set the features that its sheet asks for."""
        text = tfds.features.Text()
        info = self.clip_info(
            classes=[column.name for column in study.findings],
            more={
                "source_start": np.int32,
                "source_end": np.int32,
                "pixel_mm": np.float32,
                **{column.name: text for column in study.groups},
                **dict.fromkeys(study.levels, np.int8),
            },
            metadata={"levels": study.levels},
        )
        # TFDS asks for features when a builder is made, before any file is at hand.
        self.info._features = info.features
        if self.info.metadata is not None:
            self.info.metadata.update(info.metadata or {})

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        for name, reason in self._study.skipped:
            self.skip(name, reason)
        items = contact_sheet.chosen(self._study.items)
        make = partial(cut_video, self.config)
        return {SPLIT: self.examples(items, make, ahead=DECODERS, unit="videos")}

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What was used, counted and left out; writes the page and the picture."""
        findings = [column.name for column in self._study.findings]
        metadata = summary.count(
            facts,
            skipped,
            findings=findings,
            groups=[column.name for column in self._study.groups],
            levels=self._study.levels,
            notes=self._study.notes,
        )
        text = summary.as_text(metadata, self.info.full_name)
        write_whole(Path(self.data_path) / PAGE, text)
        picture = contact_sheet.drawn([fact.value for fact in facts], findings)
        write_png(Path(self.data_path) / PICTURE, picture)
        logging.info("videos %s:\n%s", self.config.name, text)
        return metadata | {"sheet_hash": self._sheet_hash}


def _hash(sheet: Path) -> str:
    return hashlib.sha256(sheet.read_bytes()).hexdigest()
