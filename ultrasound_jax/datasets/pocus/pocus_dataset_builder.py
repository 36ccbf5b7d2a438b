"""POCUS lung ultrasound (Born et al. 2021) as clips, from the set's original layout."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.pocus.examples import Item, cut_video
from ultrasound_jax.datasets.pocus.groups import patient_groups
from ultrasound_jax.datasets.pocus.options import PocusConfig, checked_config
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
from ultrasound_jax.datasets.scale import Fact, ScalableBuilder, Skipped

DECODERS = 2  # threads; the writer takes a third thread's worth of time at most


class Builder(ScalableBuilder):
    """131 public lung videos, four patterns labelled by video, cut into clips.

    A record's `clip` is raw uint8: `experiments/clip_storage.py` measures why.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Clone https://github.com/jannisborn/covid19_ultrasound as `pocus` and give "
        "the folder that holds it, or give the clone itself: "
        "--manual_dir=DIR with DIR/pocus/data/pocus_videos/{convex,linear}."
    )
    BUILDER_CONFIGS: ClassVar[list[PocusConfig]] = [
        checked_config(),
        checked_config(size=256, frame_rate=30),
    ]

    @classmethod
    def make_config(cls, **options: Any) -> PocusConfig:
        """The config of these options; see `PocusConfig` for what there is.

        Raises:
            DatasetError: an unknown option, or a value that is not allowed.
        """
        config = checked_config(**options)
        # TFDS takes a shipped config only as the very object that it ships.
        shipped = {known.name: known for known in cls.BUILDER_CONFIGS}
        return shipped.get(config.name, config)

    @property
    def _config(self) -> PocusConfig:
        config = self.builder_config
        if not isinstance(config, PocusConfig):
            raise DatasetError(
                f"pocus config {config!r}, allowed is what make_config returns"
            )
        return config

    def _info(self) -> tfds.core.DatasetInfo:
        config = self._config
        frame = (config.size, config.size, 1)
        features = tfds.features.FeaturesDict(
            {
                "clip": tfds.features.Tensor(
                    shape=(None, *frame), dtype=np.uint8, encoding="bytes"
                ),
                "labels": tfds.features.Tensor(
                    shape=(len(PATTERN_COLUMNS),), dtype=np.int8
                ),
                "example_id": tfds.features.Text(),
                "video_id": tfds.features.Text(),
                "patient_id": tfds.features.Text(),
                "start_frame": np.int32,
                "frame_rate": np.float32,
                "diagnosis": tfds.features.ClassLabel(names=list(DIAGNOSES.values())),
                "severity": np.int8,
                "probe": tfds.features.ClassLabel(names=list(PROBES)),
                "licence": tfds.features.Text(),
            }
        )
        metadata = {
            "classes": list(PATTERN_COLUMNS),
            "clip_frames": config.clip_frames,
            "size": config.size,
            "frame_rate": config.frame_rate,
            **Summary().as_metadata(),
        }
        return self.dataset_info_from_configs(
            features=features,
            metadata=tfds.core.MetadataDict(metadata),
            homepage="https://github.com/jannisborn/covid19_ultrasound",
            supervised_keys=("clip", "labels"),
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
        make = partial(cut_video, self._config)
        return {"clips": self.examples(items, make, ahead=DECODERS, unit="videos")}

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What was used, counted and left out, as `Summary` has it."""
        summary = Summary(label_notes=self._label_notes)
        for one in skipped:
            summary.skip(one.name, one.reason)
        for fact in facts:
            summary.add(fact.value)
        logging.info("pocus %s:\n%s", self._config.name, summary.as_text())
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
