"""How should a clip be stored? Bytes on disk against the time to read it back.

Writes the same POCUS clips with TFDS in each form, reads them back with
`as_data_source`, in random order, and reports medians:

    python experiments/clip_storage.py --manual_dir DIR

DIR holds `pocus/data/pocus_videos`. The forms:

* `raw`: `Tensor(uint8, encoding="bytes")`; reading is one view of the record's bytes.
* `list`: `Tensor(uint8)`, TFDS's default encoding.
* `zlib`: `Tensor(uint8, encoding="zlib")`.
* `png`: a sequence of PNG files, one a frame. `tall_png`: the frames in one tall PNG.
* `jpeg`: a sequence of JPEG files, quality 95; the only lossy one.

ArrayRecord compresses every record itself (zstd), so that `bytes_on_disk` is less than
what TFDS hands to it. PNG and JPEG are encoded and decoded by OpenCV on the way in and
out of a `Text` feature, which costs nothing in between; TFDS's own `Image` feature
decodes by the same library.
"""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds
from absl import app, flags

from ultrasound_jax.datasets.pocus.pocus_dataset_builder import Builder as Pocus

_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", None, "folder with pocus/", required=True
)
_OUT = flags.DEFINE_string(
    "out", str(Path(__file__).parent / "results" / "clip_storage.json"), "result file"
)
CLIPS = 200  # of each cut, evenly spread over the set
CUTS = {"112px_10hz_1s": {}, "256px_30hz_1s": {"size": 256, "frame_rate": 30}}
FORMS = ("raw", "list", "zlib", "png", "tall_png", "jpeg")


def _png(frame: np.ndarray) -> bytes:
    return cv2.imencode(".png", frame)[1].tobytes()


def _jpeg(frame: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def _grey(coded: bytes) -> np.ndarray:
    return np.asarray(
        cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_GRAYSCALE)
    )


def encoder(form: str) -> Callable[[np.ndarray], Any]:
    """What is handed to TFDS for a clip `t h w 1`."""
    return {
        "png": lambda clip: [_png(frame) for frame in clip],
        "jpeg": lambda clip: [_jpeg(frame) for frame in clip],
        "tall_png": lambda clip: _png(clip.reshape(-1, clip.shape[2])),
    }.get(form, lambda clip: clip)


def decoder(form: str) -> Callable[[Any], np.ndarray]:
    """From what TFDS gives back to the clip `t h w 1`."""

    def tall(coded: bytes) -> np.ndarray:
        frames = _grey(coded)
        return frames.reshape(-1, frames.shape[1], frames.shape[1], 1)

    def frames(coded: list[bytes]) -> np.ndarray:
        return np.stack([_grey(one) for one in coded])[..., np.newaxis]

    return {"png": frames, "jpeg": frames, "tall_png": tall}.get(
        form, lambda clip: clip
    )


def feature(form: str, size: int) -> Any:
    """The TFDS feature of a form."""
    if form in ("png", "jpeg"):
        return tfds.features.Sequence(tfds.features.Text())
    if form == "tall_png":
        return tfds.features.Text()
    encoding = {"raw": "bytes", "list": "none", "zlib": "zlib"}[form]
    return tfds.features.Tensor(
        shape=(None, size, size, 1), dtype=np.uint8, encoding=encoding
    )


class ClipStorage(tfds.core.GeneratorBasedBuilder):
    """A set of nothing but clips, in one form."""

    VERSION = tfds.core.Version("1.0.0")
    clips: list[Any]  # already in their form
    form: str
    size: int

    def _info(self) -> tfds.core.DatasetInfo:
        features = {"clip": feature(self.form, self.size)}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        return {"clips": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, clip in enumerate(self.clips):
            yield f"{number:04d}", {"clip": clip}


def measure(form: str, clips: list[np.ndarray], folder: str) -> dict[str, float]:
    """Bytes a clip and median milliseconds a clip for one form."""
    encode, decode = encoder(form), decoder(form)
    encode_ms, coded = [], []
    for clip in clips:
        start = time.perf_counter()
        coded.append(encode(clip))
        encode_ms.append(1e3 * (time.perf_counter() - start))
    ClipStorage.clips, ClipStorage.form = coded, form
    ClipStorage.size = clips[0].shape[1]
    builder: Any = ClipStorage(data_dir=folder, file_format="array_record")
    start = time.perf_counter()
    builder.download_and_prepare()
    write_ms = 1e3 * (time.perf_counter() - start) / len(clips)
    source = builder.as_data_source("clips")
    read_ms = []
    for index in np.random.default_rng(0).permutation(len(source)).repeat(3):
        start = time.perf_counter()
        clip = decode(source[int(index)]["clip"])
        clip.max()  # touch every byte, as a copy into a batch does
        read_ms.append(1e3 * (time.perf_counter() - start))
    files = Path(folder).rglob("*array_record*")
    stored = sum(file.stat().st_size for file in files if file.is_file())
    return {
        "bytes_on_disk": round(stored / len(clips)),
        "encode_ms": round(statistics.median(encode_ms), 3),
        "write_ms": round(write_ms, 3),
        "read_ms": round(statistics.median(read_ms), 3),
    }


def real_clips(options: dict[str, Any], folder: str) -> list[np.ndarray]:
    """Whole clips spread over the POCUS set, as its builder cuts them."""
    builder: Any = Pocus(config=Pocus.make_config(**options), data_dir=folder)
    manual = tfds.download.DownloadConfig(manual_dir=_MANUAL_DIR.value)
    builder.download_and_prepare(download_config=manual)
    source = builder.as_data_source("clips")
    chosen = np.linspace(0, len(source) - 1, CLIPS).astype(int)
    return [np.array(source[int(index)]["clip"]) for index in chosen]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.machine()


def main(argv: list[str]) -> None:
    """Measure every form on every cut and write the result file."""
    del argv
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False)  # noqa: S603
    result: dict[str, Any] = {
        "command": f"python experiments/{Path(sys.argv[0]).name} --manual_dir DIR",
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{_processor()}, {os.cpu_count()} cores",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "clips": CLIPS,
    }
    for cut, options in CUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            clips = real_clips(options, folder)
        result[cut] = {"bytes_in_memory": round(np.mean([clip.size for clip in clips]))}
        for form in FORMS:
            with tempfile.TemporaryDirectory() as folder:
                result[cut][form] = measure(form, clips, folder)
            print(cut, form, result[cut][form], flush=True)
    Path(_OUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
