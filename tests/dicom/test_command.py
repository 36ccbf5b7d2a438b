import csv
import re
import signal
import subprocess
import sys
import time
from itertools import islice

import numpy as np
import psutil
import pytest

from tests.conftest import ROOT
from tests.dicom.mutate import cut_pixels, flip_pixels, lies
from tests.dicom.whole_files import EXPLICIT, SYNTAXES, whole_file
from ultrasound_jax.dicom import __main__ as command
from ultrasound_jax.dicom.index.table import read_index


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "ultrasound_jax.dicom", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help_lists_the_verbs_without_loading_them(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in command.VERBS)


@pytest.mark.parametrize("verb", command.VERBS)
def test_the_help_of_a_verb_says_what_is_written_and_gives_an_example(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m ultrasound_jax.dicom {verb}")
    described = text.partition("\n\n")[2]
    assert re.search(rf"\b{verb} .*\.csv", described)
    assert re.search(r"[Ww]r(ites|itten)\b", described)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: verb"),
        (["nope"], "invalid choice: 'nope'"),
        (["index"], "required: root, --out"),
        (
            ["index", ".", "--out", "x.csv", "--workers", "0"],
            "'0' is not a whole number",
        ),
        (["index", ".", "--out", "x.csv", "--max-frames", "-1"], "--max-frames"),
    ],
)
def test_wrong_words_end_with_code_2(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_limits_of_the_command_line_are_those_of_the_run(monkeypatch):
    import argparse

    from ultrasound_jax.dicom.commands.options import (
        add_run_arguments,
        limits_of,
    )
    from ultrasound_jax.runs.limits import Limits

    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    assert limits_of(parser.parse_args([])) == Limits()
    words = "--max-seconds 5 --max-memory-mib 64 --max-frames 7 --max-pixels 8"
    words += " --max-inflated-mib 9"
    assert limits_of(parser.parse_args(words.split())) == Limits(
        memory_bytes=64 << 20,
        seconds=5.0,
        frames=7,
        pixels=8,
        inflated_bytes=9 << 20,
    )


def test_a_run_over_files_that_lie_ends_well(tmp_path):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    root.mkdir()
    names = []
    for name, content in islice(lies(), 0, None, 3):
        (root / f"{name}.dcm").write_bytes(content)
        names.append(name)
    words = ["index", str(root), "--out", str(out), "--max-seconds", "5"]
    assert command.main(words) == 0
    rows = read_index(out)
    assert len(rows) == len(names)
    for row in rows:
        assert row.ok or row.reason.split(":")[0] in (
            "unreadable",
            "duplicate",
            "not ultrasound",
            "no ultrasound region",
        )


def test_no_verb_stumbles_over_files_whose_pixels_are_damaged(tmp_path):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    root.mkdir()
    rng = np.random.default_rng(9)
    for syntax in SYNTAXES:
        for damage in (flip_pixels, cut_pixels):
            content = damage(whole_file(syntax), rng)
            (root / f"{damage.__name__}_{syntax}.dcm").write_bytes(content)
    # Without `damaged`, most of those that are cut off do not get beyond the index.
    keep = ("--keep", "duplicates", "--keep", "damaged", "--headers-only")
    assert command.main(["index", str(root), "--out", str(out), *keep]) == 0
    ready = [row.video_id for row in read_index(out) if row.ok]
    assert len(ready) > len(SYNTAXES)
    frames = tmp_path / "frames"
    words = ["convert", str(out), "--to", "png", "--out", str(frames), "--size", "0"]
    assert command.main([*words, "--max-seconds", "5"]) == 0
    with open(frames / "convert_png.csv", newline="") as file:
        table = {row["video_id"]: row for row in csv.DictReader(file)}
    refused = [i for i in ready if table[i]["status"] != "ok"]
    assert len(refused) >= len(SYNTAXES) - 1
    for video_id in refused:
        assert table[video_id]["status"] == "refused" and table[video_id]["reason"]
        assert not list(frames.glob(f"{video_id}*"))


def test_a_terminated_run_leaves_a_journal_and_no_process_and_continues(tmp_path):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    root.mkdir()
    content = whole_file(EXPLICIT)
    for number in range(200):
        (root / f"{number}.dcm").write_bytes(content)
    words = ("index", str(root), "--out", str(out), "--workers", "1")
    process = start(*words)
    journal = tmp_path / ".index.csv.journal"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size > 2_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    said = "SIGTERM: what is finished is kept; the same command continues"
    assert error.splitlines()[-1] == said
    assert journal.exists() and not out.exists()
    assert children and not any(child.is_running() for child in children)
    text, error = start(*words).communicate(timeout=120)
    assert "continues: " in text and "Traceback" not in error
    assert not journal.exists()
    assert [row.ok for row in read_index(out)].count(True) == 1
