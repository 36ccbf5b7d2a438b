"""POCUS lung ultrasound (Born et al. 2021) as clips, from the set's original layout."""

import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import tqdm

from ultrasound_jax.datasets.errors import DatasetError
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
from ultrasound_jax.dicom.clips import clip_step, clip_windows, pad_tail
from ultrasound_jax.dicom.errors import CineError
from ultrasound_jax.dicom.frames import resample_times
from ultrasound_jax.dicom.video import Video, read_video

WORKERS = 2  # decoders; the writer takes a third thread's worth of time at most


class Builder(tfds.core.GeneratorBasedBuilder):
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

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        super().__init__(file_format=file_format or "array_record", **kwargs)

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

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        try:
            manual_dir = Path(dl_manager.manual_dir)
        except AssertionError as error:
            raise DatasetError(
                f"pocus: the manual folder is missing or empty ({str(error)[:200]!r}), "
                "allowed is one that holds pocus/data/pocus_videos"
            ) from error
        return {"clips": self._generate_examples(find_root(manual_dir))}

    def _generate_examples(self, root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        summary = Summary()
        sheet = read_sheet(root / "data" / "dataset_metadata.csv")
        recordings = _list_recordings(root / "data" / "pocus_videos", sheet, summary)
        names = [key(recording.path.name) for recording in recordings]
        groups, notes = patient_groups(names, sheet, root / "groups.csv")
        summary.label_notes.extend(notes)
        for recording, video in _decode_all(recordings, self._config.size):
            if isinstance(video, CineError):
                reason = str(video).removeprefix(f"{recording.path}: ")
                summary.skip(recording.name, reason)
                logging.warning("pocus: skipped %s: %s", recording.name, reason)
            else:
                patient = groups[key(recording.path.name)]
                count = 0
                for example in self._clips(recording, video, patient):
                    count += 1
                    yield example["example_id"], example
                summary.add(recording, patient, count)
                if video.damaged:
                    summary.file_notes.append(
                        f"{recording.name}: {video.damaged} packets do not decode"
                    )
            if self.info.metadata is not None:  # only its type says that it may be
                self.info.metadata.update(summary.as_metadata())
        if not summary.clips:
            skipped = "; ".join(f"{s['file']}: {s['reason']}" for s in summary.skipped)
            raise DatasetError(
                f"{root}: none of {len(summary.skipped)} files is usable ({skipped})"
            )
        logging.info("pocus %s:\n%s", self._config.name, summary.as_text())

    def _clips(
        self, recording: Recording, video: Video, patient: str
    ) -> Iterator[dict[str, Any]]:
        config = self._config
        shown = resample_times(
            video.timestamps, config.frame_rate, frame_seconds=video.frame_seconds
        )
        frames = video.frames[shown][..., np.newaxis]
        length = config.clip_frames
        step = clip_step(length, config.overlap)
        for start, end in clip_windows(len(frames), length, step):
            clip = frames[start:end]
            yield {
                "clip": pad_tail(clip, length) if config.tail == "duplicate" else clip,
                "labels": np.array(recording.labels, np.int8),
                "example_id": f"{recording.video_id}_{start:04d}",
                "video_id": recording.video_id,
                "patient_id": patient,
                "start_frame": start,
                "frame_rate": config.frame_rate,
                "diagnosis": recording.diagnosis,
                "severity": recording.severity,
                "probe": recording.probe,
                "licence": recording.licence,
            }


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
    videos: Path, sheet: list[Row], summary: Summary
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
            summary.skip(name, str(error).removeprefix(f"{name}: "))
            continue
        recordings.append(recording)
        summary.label_notes.extend(recording.notes)
    return recordings


def _decode_all(
    recordings: list[Recording], size: int
) -> Iterator[tuple[Recording, Video | CineError]]:
    """Decoded videos in the order given, a few ahead of the reader, never all."""
    progress = _Progress(len(recordings))
    waiting: deque[tuple[Recording, Future]] = deque()
    # Codecs release the interpreter's lock, so threads decode side by side.
    with ThreadPoolExecutor(WORKERS) as pool:
        for recording in recordings:
            waiting.append((recording, pool.submit(_decode, recording.path, size)))
            if len(waiting) > 2 * WORKERS:
                yield _next(waiting, progress)
        while waiting:
            yield _next(waiting, progress)
    progress.close()


def _decode(path: Path, size: int) -> Video | CineError:
    try:
        return read_video(path, size)
    except CineError as error:
        return error


def _next(
    waiting: deque[tuple[Recording, Future]], progress: "_Progress"
) -> tuple[Recording, Video | CineError]:
    recording, future = waiting.popleft()
    video = future.result()
    progress.step()
    return recording, video


class _Progress:
    """A bar on a terminal, a log line for every tenth of the videos elsewhere."""

    def __init__(self, total: int):
        self.total, self.done = total, 0
        terminal = sys.stderr.isatty()
        self.bar = tqdm(total=total, unit=" videos", desc="pocus") if terminal else None

    def step(self) -> None:
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif self.done % max(1, self.total // 10) == 0 or self.done == self.total:
            logging.info("pocus: %d of %d videos decoded", self.done, self.total)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
