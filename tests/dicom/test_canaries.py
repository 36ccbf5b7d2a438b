"""No name in a header, a file's name or a corner of the picture comes out anywhere."""

import base64
import contextlib
import dataclasses
import io
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.dicom import canaries
from tests.dicom.canaries import DATE, NUMBER, TIME, WORD
from tests.dicom.scans import phantom
from ultrasound_jax.dicom.__main__ import main as dicom
from ultrasound_jax.dicom.index.table import (
    read_index,
    read_sources,
    write_index,
)

TOUCHING = 2  # pixels of a ruler's tick, where it touches a corner of the fan
PRIVATE = {"index.sources.json", "pseudonyms.json"}
DASHED = f"{DATE[:4]}-{DATE[4:6]}-{DATE[6:]}"
TOKENS = (WORD, NUMBER, DATE, DASHED, TIME.split(".")[0], TIME.split(".")[1], "Müller")


@dataclasses.dataclass
class Run:
    """What every verb wrote and said about the hospital's folder."""

    folder: Path
    spoken: str
    begun: float

    @property
    def outputs(self):
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def good(self):
        """`video_id` and number of the folder's five good files."""
        sources = read_sources(self.folder / "index.csv")
        found = {}
        for row in read_index(self.folder / "index.csv"):
            name = sources[row.video_id].name
            if row.ok and name.endswith(".dcm") and name[len(WORD)].isdigit():
                found[row.video_id] = int(name[len(WORD)])
        return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root, out = tmp_path_factory.mktemp("hospital"), tmp_path_factory.mktemp("out")
    one = ("--workers", "1")  # to start takes longer than to convert
    index, begun, said = out / "index.csv", time.time(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about the values made up
        assert canaries.write_hospital(root) > 700
        (out / "tmp").mkdir()
        patch.setenv("TMPDIR", str(out / "tmp"))
        patch.setattr(tempfile, "tempdir", None)
        patch.setenv("XDG_CACHE_HOME", str(out / "cache"))
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            assert dicom(["index", str(root), "--out", str(index), *one]) == 0
            _label(index)
            for target in ("avi", "png", "clips"):
                words = ["convert", str(index), "--to", target, "--rate", "native"]
                assert dicom([*words, "--out", str(out / target), *one]) == 0
            more = ["--keep", "captures", "--series", "cine", "--join-patients"]
            everything = out / "everything" / "index.csv"
            words = ["index", str(root), "--out", str(everything), *one, *more]
            assert dicom([*words, "--keep", "regionless"]) == 0
            words = ["convert", str(everything), "--to", "avi", "--rate", "native"]
            words += ["--out", str(out / "joined"), *one]
            assert dicom(words) == 0
            words = [str(index), str(index), "--out", str(out / "clips.csv")]
            assert dicom(["clips", *words]) == 0
    return Run(out, said.getvalue(), begun)


def _label(index):
    rows = read_index(index)
    seen = {"A-line": "1_5"}
    write_index(
        index,
        [
            dataclasses.replace(row, labels={**row.labels, **seen})
            if row.ok and row.data_type == "video"
            else row
            for row in rows
        ],
    )


def carriers(token):
    """How a token may stand in a file."""
    forms = [token.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]
    forms.append(token.encode("latin-1"))
    forms.append(token.encode().hex().encode())
    # Base64 of a text depends on where in a group of three bytes it begins.
    for before in range(3):
        code = base64.b64encode(b"\0" * before + token.encode())
        first, last = -(-before * 8 // 6), (before + len(token.encode())) * 8 // 6
        forms.append(code[first:last])
    return {form.lower() for form in forms if len(form) > 4}


def found_in(content):
    content = content.lower()
    return [token for token in TOKENS if any(c in content for c in carriers(token))]


def test_a_search_finds_the_tokens_where_they_are(run):
    listed = (run.folder / "index.sources.json").read_bytes()
    assert WORD in found_in(listed)
    # Pseudonyms, and so the order, are others each time, and not each file has all.
    sources = read_sources(run.folder / "index.csv")
    found = {
        token for name in run.good for token in found_in(sources[name].read_bytes())
    }
    assert found >= {WORD, NUMBER, DATE}
    assert found_in(base64.b64encode(b"ab" + WORD.encode() + b"cd")) == [WORD]


def test_files_of_every_kind_were_written(run):
    kinds = {path.suffix for path in run.outputs}
    assert kinds >= {".csv", ".json", ".avi", ".png"}
    assert len(run.good) == 5
    assert len(list((run.folder / "avi").glob("*.avi"))) >= 5
    reasons = (run.folder / "avi/convert_avi.csv").read_text()
    assert "skipped" in reasons and "refused" in reasons


def test_no_output_holds_a_token(run):
    for path in run.outputs:
        if path.name not in PRIVATE:
            assert not found_in(path.read_bytes()), path.relative_to(run.folder)


def test_captures_series_and_joined_patients_hold_no_token_either(run):
    rows = [r for r in read_index(run.folder / "everything/index.csv") if r.ok]
    assert len({row.patient_id for row in rows}) == 1, (
        "all have one name and birth date"
    )
    assert sum("files of one series" in row.reason for row in rows) == 1
    assert len(list((run.folder / "joined").glob("*.avi"))) == len(run.good) + 4
    assert "are one patient now" in run.spoken
    assert {(row.sex, row.age, row.heart_rate) for row in rows} == {("", "73", None)}
    for path in [*(run.folder / "everything").iterdir(), *run.folder.glob("joined/*")]:
        if path.name not in PRIVATE:
            assert not found_in(path.read_bytes()), path.name


def test_no_output_is_named_after_a_token(run):
    for path in run.folder.rglob("*"):
        assert not found_in(str(path.relative_to(run.folder)).encode()), path


def test_the_program_says_no_token_but_in_paths_given_to_it(run):
    assert not found_in(run.spoken.encode())
    assert run.spoken


def test_no_output_holds_the_folder_of_the_recordings(run):
    root = next(iter(read_sources(run.folder / "index.csv").values())).parents[2]
    for path in run.outputs:
        if path.name not in PRIVATE:
            assert str(root).encode() not in path.read_bytes(), path


def test_private_files_are_their_owners_only(run):
    for name in PRIVATE:
        assert (run.folder / name).stat().st_mode & 0o077 == 0


def test_outputs_do_not_keep_the_time_of_the_recordings(run):
    for path in run.outputs:
        assert path.stat().st_mtime >= run.begun - 2, path


def test_containers_have_no_metadata(run):
    for path in run.outputs:
        if path.suffix == ".avi":
            with av.open(str(path)) as container:
                assert container.metadata == {}
                assert all(stream.metadata == {} for stream in container.streams)
        elif path.suffix == ".png":
            content = path.read_bytes()
            assert not any(t in content for t in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"))


def pictures(run, video_id):
    """Every frame that any target has written of a video."""
    for path in run.folder.glob(f"*/{video_id}*.avi"):
        with av.open(str(path)) as container:
            yield from (f.to_ndarray(format="gray") for f in container.decode(video=0))
    for path in (run.folder / "png" / video_id).glob("*.png"):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        yield picture


def likeness(picture):
    """How well the burned-in word is recognised at its best place; 1 is exactly."""
    line = canaries.screen(0)[2][5:20, 3:75]
    return float(cv2.matchTemplate(picture, line, cv2.TM_CCOEFF_NORMED).max())


def test_what_is_burned_in_beside_the_fan_is_black(run):
    for video_id, number in run.good.items():
        clip, region, marks = canaries.screen(number % 3)
        _, truth = phantom(number % 3)
        beside = (marks > 0) & ~truth
        assert beside.sum() > 1000
        screen = np.ascontiguousarray(clip[0, region.top :, region.left :])
        assert likeness(screen) > 0.99
        seen = 0
        for picture in pictures(run, video_id):
            seen += 1
            assert picture.shape == (256, 256)
            assert (picture[beside] > 0).sum() <= TOUCHING
            assert likeness(picture) < 0.6
            assert picture[truth].mean() > 0.9 * clip[0, 40:296, 70:326][truth].mean()
        assert seen == 3 * len(clip)


def test_the_records_of_the_built_dataset_hold_no_token(run, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    builders = pytest.importorskip(
        "ultrasound_jax.datasets.lus_clips.lus_clips_dataset_builder"
    )
    part = tmp_path / "manual" / "development"
    (part / "labels").mkdir(parents=True)
    for name in (*PRIVATE, "index.csv"):
        shutil.copy2(run.folder / name, part / name)
    shutil.copy2(run.folder / "index.csv", part / "labels" / "version1.csv")
    config = builders.Builder.make_config(size=256, frame_rate=0, clip_frames=8)
    builder = builders.Builder(config=config, data_dir=tmp_path / "built")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(part.parent))
    )
    source = builder.as_data_source("clips")
    assert len(source) >= 5
    for record in (source[place] for place in range(len(source))):
        for name, value in record.items():
            assert not found_in(np.asarray(value).tobytes()), name
            if isinstance(value, bytes):
                assert not found_in(value), name
        number = run.good.get(record["video_id"].decode())
        if number is not None:
            beside = (canaries.screen(number % 3)[2] > 0) & ~phantom(number % 3)[1]
            for picture in record["clip"]:
                assert (picture[beside] > 0).sum() <= TOUCHING
    for path in (tmp_path / "built").rglob("*"):
        assert not found_in(path.name.encode())
        if path.is_file():
            assert not found_in(path.read_bytes()), path.name
