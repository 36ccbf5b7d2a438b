"""POCUS lung ultrasound (Born et al. 2021) as clips, from the set's original layout."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.clip_builder import SPLIT, ClipBuilder
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.pocus.examples import Item, cut_video
from ultrasound_jax.datasets.pocus.groups import patient_groups
from ultrasound_jax.datasets.pocus.options import PocusConfig
from ultrasound_jax.datasets.pocus.sheet import (
    DIAGNOSES,
    PATTERN_COLUMNS,
    PROBES,
    Recording,
    Row,
    key,
    read_recording,
    read_sheet,
)
from ultrasound_jax.datasets.pocus.summary import Summary

DECODERS = 2  # threads; the writer takes a third thread's worth of time at most


class Builder(ClipBuilder):
    """131 public lung videos, four patterns labelled by video, cut into clips.

    A record's `clip` is raw uint8: `experiments/clip_storage.py` measures why.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "Clips that lie wholly inside the clip before are joined to it.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Clone https://github.com/jannisborn/covid19_ultrasound as `pocus` and give "
        "the folder that holds it, or give the clone itself: "
        "--manual_dir=DIR with DIR/pocus/data/pocus_videos/{convex,linear}."
    )
    BUILDER_CONFIGS: ClassVar[list[PocusConfig]] = [
        checked_config(PocusConfig, "pocus", options)
        for options in ({}, {"size": 256, "frame_rate": 30})
    ]

    CONFIG = PocusConfig
    GRADED: ClassVar = {"severity": ("0", "1", "2", "3")}  # -1 where nobody scored
    PATIENT = "a group of recordings by their names, as the set names no patients"

    def _info(self) -> tfds.core.DatasetInfo:
        more = {
            "diagnosis": tfds.features.ClassLabel(names=list(DIAGNOSES.values())),
            "severity": np.int8,
            "probe": tfds.features.ClassLabel(names=list(PROBES)),
            "licence": tfds.features.Text(),
        }
        return self.clip_info(
            classes=tuple(PATTERN_COLUMNS),
            more=more,
            metadata=Summary().as_metadata(),
            homepage="https://github.com/jannisborn/covid19_ultrasound",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        root = find_root(self.manual_folder(dl_manager))
        sheet = read_sheet(root / "data" / "dataset_metadata.csv")
        videos = root / "data" / "pocus_videos"
        recordings = _list_recordings(videos, sheet, self.skip)
        names = [key(recording.path.name) for recording in recordings]
        groups, notes = patient_groups(names, sheet, root / "groups.csv")
        self._label_notes = [note for one in recordings for note in one.notes] + notes
        items = [Item(one, groups[key(one.path.name)]) for one in recordings]
        make = partial(cut_video, self.config)
        return {SPLIT: self.examples(items, make, ahead=DECODERS, unit="videos")}

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What was used, counted and left out, as `Summary` has it."""
        summary = Summary(label_notes=self._label_notes)
        for one in skipped:
            summary.skip(one.name, one.reason)
        for fact in facts:
            summary.add(fact.value)
        logging.info("pocus %s:\n%s", self.config.name, summary.as_text())
        return summary.as_metadata()


def find_root(manual_dir: Path) -> Path:
    """The folder that holds `data/pocus_videos`: the manual one, or `pocus` in it.

    Raises:
        DatasetError: neither holds it.
    """
    candidates = (manual_dir / "pocus", manual_dir)
    for root in candidates:
        if (root / "data" / "pocus_videos").is_dir():
            return root
    looked = " nor ".join(str(root / "data" / "pocus_videos") for root in candidates)
    raise DatasetError(f"pocus: no such folder: {looked}; see the set's README")


def _list_recordings(
    videos: Path, sheet: list[Row], skip: Callable[[str, str], None]
) -> list[Recording]:
    """Every file below `videos`, in order of its path; hidden ones aside."""
    rows = defaultdict(list)
    for row in sheet:
        rows[key(row["Filename"])].append(row)
    recordings = []
    for path in sorted(videos.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            recording = read_recording(path, videos, rows[key(path.name)])
        except DatasetError as error:
            name = path.relative_to(videos).as_posix()
            skip(name, str(error).removeprefix(f"{name}: "))
            continue
        recordings.append(recording)
    return recordings
