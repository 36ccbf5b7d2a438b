"""Every writer on a full disk: one line with the file, nothing half-written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, TINY
from tests.full_disk import files_in, full_after
from ultrasound_jax.analysis.document import Text
from ultrasound_jax.analysis.report.html import write_html
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.data.source import open_source, prepare
from ultrasound_jax.dicom.index.table import IndexRow, read_index, write_index
from ultrasound_jax.media.writers import write_avi, write_png
from ultrasound_jax.predict.weights import write
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.files import whole_file, write_whole
from ultrasound_jax.runs.journal import Journal
from ultrasound_jax.training.console import Scalars
from ultrasound_jax.types import InputError, UltrasoundError

FRAMES = np.random.default_rng(0).integers(0, 256, (20, 64, 64), dtype=np.uint8)
ROWS = [IndexRow(video_id=f"v{place}", reason="x" * 40) for place in range(200)]
STATE = {"kernel": np.zeros(2000, np.float32)}
WRITERS = {
    "run.safetensors": lambda path: write(STATE, {"trained_on": []}, path),
    "film.avi": lambda path: write_avi(path, FRAMES, 25.0),
    "film_mjpeg.avi": lambda path: write_avi(path, FRAMES, 25.0, codec="mjpeg"),
    "frame.png": lambda path: write_png(path, FRAMES[0]),
    "index.csv": lambda path: write_index(path, ROWS),
    "metrics.json": lambda path: write_whole(path, json.dumps([*range(3000)])),
    "report.md": lambda path: write_markdown(path, [Text("word " * 1000)]),
    "report.html": lambda path: write_html(path, [Text("word " * 1000)]),
}


@pytest.mark.parametrize("size", [0, 2000])
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_has_no_room_is_named_and_nothing_of_it_stays(
    name, size, tmp_path, capsys
):
    path = tmp_path / name

    def work(prompt):
        with full_after(size):
            WRITERS[name](path)

    assert cli.guard(work) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: cannot be written: ")
    assert said.count("\n") == 1
    assert not files_in(tmp_path)
    WRITERS[name](path)
    assert path.stat().st_size > 2000


@pytest.mark.parametrize("name", WRITERS)
def test_what_stood_there_before_the_disk_was_full_still_stands(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"before")
    with full_after(2000), pytest.raises(InputError, match=name):
        WRITERS[name](path)
    assert files_in(tmp_path) == {name: b"before"}


def test_an_index_written_after_there_is_room_again_is_whole(tmp_path):
    path = tmp_path / "index.csv"
    with full_after(2000), pytest.raises(InputError):
        write_index(path, ROWS)
    write_index(path, ROWS)
    assert [(row.video_id, row.reason) for row in read_index(path)] == [
        (row.video_id, row.reason) for row in ROWS
    ]


def test_a_journal_that_has_no_room_keeps_what_it_noted(tmp_path):
    path = tmp_path / ".index.csv.journal"
    journal = Journal.open(path, {"a": 1})
    noted = []
    with (
        full_after(2000),
        pytest.raises(InputError, match=f"{path}: cannot be written"),
    ):
        for number in range(1000):
            journal.record(str(number), "x" * 40)
            noted.append(str(number))
    journal.close()
    journal = Journal.open(path, {"a": 1})
    known = list(journal.done)  # what could not be written may have been at the end
    assert known in (noted, [*noted, str(len(noted))]) and len(noted) > 10
    journal.record("more", 1)
    journal.close()
    assert list(Journal.open(path, {"a": 1}).done) == [*known, "more"]


def test_scalars_that_have_no_room_are_one_line_and_continue(tmp_path):
    path = tmp_path / "scalars.csv"
    told = rf"{tmp_path}/(scalars\.csv|tensorboard): cannot be"  # whichever is first
    last = 0
    with Scalars(tmp_path, step=0) as scalars:
        with full_after(2000), pytest.raises(InputError, match=told):
            for step in range(1000):
                scalars.write(step, {"train/loss": 0.5})
                last = step
    assert last > 10
    with Scalars(tmp_path, step=last) as scalars:
        scalars.write(last + 1, {"train/loss": 0.25})
    lines = path.read_text().split("\n")
    assert lines[1:-1] == [f"{n},train/loss,0.5" for n in range(last + 1)] + [
        f"{last + 1},train/loss,0.25"
    ]


def test_scalars_that_are_no_table_are_one_line(tmp_path):
    (tmp_path / "scalars.csv").write_bytes(b"step,name,value\nfirst,loss,1\n")
    with pytest.raises(InputError, match=r"scalars\.csv: cannot be read.*removed"):
        Scalars(tmp_path, step=3)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_dataset_that_has_no_room_is_one_line_and_is_built_later(size, tmp_path):
    options = {"options": dict(TINY), "data_dir": str(tmp_path)}
    quiet = {"say": lambda line: None}
    with full_after(size), pytest.raises(UltrasoundError) as error:
        prepare("lus_phantom", **options, **quiet)
    said = str(error.value)
    assert "\n" not in said and str(tmp_path) in said and "cannot be written" in said
    assert not [name for name in files_in(tmp_path) if "array_record" in name]
    prepare("lus_phantom", **options, **quiet)
    source = open_source("lus_phantom", **options)
    assert source.load([0])["clip"].any()


FULL_FOR_WORKERS = """
import resource, sys
from pathlib import Path
from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.errors import NoRoomError
from ultrasound_jax.dicom.clean.cleaning import CleanSettings
from ultrasound_jax.types import InputError

# A worker sets the limit for itself, but not above what it is born with.
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    with decoded.workers(), decoded.decoded(Path(sys.argv[1]), CleanSettings()):
        pass
except NoRoomError as error:  # an InputError would only be listed
    print(isinstance(error, InputError), error)
"""


def test_a_file_is_not_left_out_of_a_dataset_because_the_disk_is_full(tmp_path):
    path = tmp_path / "film.avi"
    write_avi(path, FRAMES, 25.0)
    words = [sys.executable, "-c", FULL_FOR_WORKERS, str(path)]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert re.search("False .*no room on the disk.*of .*film.*TMPDIR", ended.stdout), (
        ended.stderr
    )


def test_a_device_or_a_pipe_is_never_replaced_by_a_file(tmp_path):
    device = tmp_path / "full"
    device.symlink_to("/dev/full")
    with pytest.raises(InputError, match="full: cannot be written: it is there and"):
        write_whole(device, "text")
    assert device.is_symlink() and Path("/dev/full").is_char_device()


def test_a_folder_in_the_way_is_one_line(tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(InputError, match=r"metrics\.json: cannot be written"):
        write_whole(tmp_path / "metrics.json", "text")
    with pytest.raises(InputError, match="cannot be written"):
        with whole_file(tmp_path / "metrics.json" / "a" / "b"):
            raise OSError(28, "No space left on device")
