"""What killed processes leave goes away, and what living ones make stays."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY
from ultrasound_jax.data import source as sources
from ultrasound_jax.runs import processes
from ultrasound_jax.runs.files import whole_file, write_whole
from ultrasound_jax.runs.unfinished import marked, sweep_folders, temporary_name

KILLED_WRITE = """
import os, sys
from ultrasound_jax.runs.files import whole_file
with whole_file(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""
KILLED_BUILD = """
import os, sys
from ultrasound_jax.data import source
from ultrasound_jax.datasets.beam.builder import ScalableBuilder
ScalableBuilder.account = lambda *given: os._exit(9)
source.prepare("lus_phantom", options=eval_options, data_dir=sys.argv[1])
"""
OF_DEAD, OF_OTHER_HOST = "4194300-1-{host}", "1-1-abcdef"


def killed(code, *words):
    ended = subprocess.run([sys.executable, "-c", code, *map(str, words)], cwd=ROOT)
    assert ended.returncode == 9


def aged(path, seconds=2 * processes.SILENT_SECONDS):
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def dead_mark():
    return OF_DEAD.format(host=processes.mark().rpartition("-")[2])


def test_a_killed_write_is_taken_away_by_the_next_one(tmp_path):
    killed(KILLED_WRITE, tmp_path / "metrics.json")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".metrics.json.") and left.suffix == ".tmp"
    write_whole(tmp_path / "report.md", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_what_a_living_process_writes_is_left_to_it(tmp_path):
    path = tmp_path / "report.md"
    with whole_file(path) as temporary:
        child = "import sys; from ultrasound_jax.runs.files import write_whole as w"
        code = f"{child}; w(sys.argv[1], 'other')"
        aged(temporary)  # it may be at it for days
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / "other"], cwd=ROOT, check=True
        )
        assert temporary.exists()
        temporary.write_text("mine")
    assert path.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "report.md"]


def test_what_another_host_writes_goes_by_its_age_alone(tmp_path):
    young = tmp_path / f".a.{OF_OTHER_HOST}.01234567.tmp"
    old = tmp_path / f".b.{OF_OTHER_HOST}.01234567.tmp"
    of_before = tmp_path / ".c.01234567.tmp"  # as earlier versions called them
    strange = tmp_path / ".d.tmp"
    for path in (young, old, of_before, strange):
        path.touch()
    for path in (old, of_before, strange):
        aged(path)
    write_whole(tmp_path / "x", "")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"x", young.name, strange.name}


def test_a_long_name_still_has_room_for_its_mark(tmp_path):
    path = tmp_path / ("ü" * 127)
    write_whole(path, "text")
    assert path.read_text() == "text"
    assert len(os.fsencode(temporary_name(path.name, "01234567"))) <= 255


def test_a_process_of_the_same_number_is_not_the_same_process():
    process, started, host = processes.mark().split("-")
    assert not processes.is_gone(processes.mark(), silent=1e9)
    assert processes.is_gone(f"{process}-{int(started) + 1}-{host}", silent=0.0)


@pytest.mark.parametrize(
    ("marker", "age", "stays"),
    [
        (None, 0, True),
        (None, 1, False),
        ("mine", 1, True),
        ("dead", 0, False),
        ("other", 0, True),
        ("other", 1, False),
    ],
)
def test_a_folder_in_the_making_goes_when_its_process_is_dead(
    marker, age, stays, tmp_path
):
    folder = tmp_path / "incomplete.AB12CD_1.0.0"
    folder.mkdir()
    (folder / "shard").write_text("half")
    marks = {"mine": processes.mark(), "dead": dead_mark(), "other": OF_OTHER_HOST}
    if marker:
        (folder / f".made_by.{marks[marker]}").touch()
    if age:
        for path in (*folder.iterdir(), folder):
            aged(path)
    assert sweep_folders(tmp_path, "incomplete.*_1.0.0") == (not stays)
    assert folder.exists() == stays


def test_a_finished_folder_is_not_marked_any_more(tmp_path):
    with marked(tmp_path):
        assert [p.name for p in tmp_path.iterdir()] == [f".made_by.{processes.mark()}"]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_build_is_taken_away_by_the_next_one(tmp_path):
    options = TINY | {"patients": 2}
    killed(KILLED_BUILD.replace("eval_options", repr(options)), tmp_path)
    assert [p.name[:11] for p in tmp_path.rglob("incomplete.*")] == ["incomplete."]
    lines = []
    where = {"options": options, "data_dir": str(tmp_path), "say": lines.append}
    sources.prepare("lus_phantom", **where)
    assert "removed 1 unfinished of lus_phantom" in lines[0]
    assert not list(tmp_path.rglob("incomplete.*"))
    assert not [p for p in Path(tmp_path).rglob(".made_by.*")]
