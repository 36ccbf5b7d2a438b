"""The whole way, by the commands that a user types: DICOM files to a trained network.

The recordings are a phantom's, so that what must come out is known.
"""

import csv
import json
import subprocess
import sys
from math import ceil

import numpy as np
import pytest

from tests import command
from tests.conftest import ROOT
from ultrasound_jax.data import source as sources
from ultrasound_jax.datasets.lus_phantom import export
from ultrasound_jax.datasets.lus_phantom.lus_phantom_dataset_builder import Builder
from ultrasound_jax.dicom.__main__ import main as dicom
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.labels.findings import PATTERNS

SIZE, RATE, LENGTH, STEP = 32, 5.0, 5, 4
PHANTOM = {"size": SIZE, "frame_rate": RATE, "patients": 8, "videos": 1, "seed": 3}
OPTIONS = {"size": SIZE, "frame_rate": 0.0, "clip_frames": LENGTH}


def run(*words):
    assert dicom([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Recordings as a hospital has them: compressed, with screens and duplicates."""
    folder = tmp_path_factory.mktemp("hospital")
    words = {**PHANTOM, "temporal-patients": 1, "syntax": "rle", "out": folder}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in words.items()]
    assert export.main(flags) == 0
    part = folder / "development"
    key = folder / "pseudonyms.json"
    index, labels = part / "index.csv", part / "labels"
    run("index", part / "dicom", "--out", index, "--key-file", key)
    run(
        *("labels", "merge", labels / "annotator_1.csv", labels / "annotator_2.csv"),
        *("--logic", "and", "--out", labels / "version1.csv"),
        *("--ignore-out", labels / "ignore.csv", "--report", part / "agreement.json"),
        *("--index", index, "--key-file", key),
    )
    run(
        *("clips", index, labels / "version1.csv", "--out", part / "clips.csv"),
        *("--rate", "native", "--length", LENGTH),
    )
    return folder


@pytest.fixture(scope="module")
def trained(hospital, tmp_path_factory):
    data_dir, workdir = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run")
    small = {
        name: value
        for name, value in command.SMALL.items()
        if not name.startswith("data.options")
    }
    small |= {f"data.options.{name}": value for name, value in OPTIONS.items()}
    small |= {
        "data.data_dir": data_dir,
        "data.manual_dir": hospital,
        "data.folds": 2,
        "train.epochs": 1,
        "compilation_cache": "",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ultrasound_jax.main"),
            "--config=configs/luvnet.py:dicom",
            f"--workdir={workdir / 'run'}",
            *(f"--config.{name}={value}" for name, value in small.items()),
        ],
        cwd=ROOT,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return data_dir, workdir / "run", done.stdout


@pytest.fixture(scope="module")
def truth(hospital):
    config = Builder.make_config(**PHANTOM)
    key = Pseudonyms.open(hospital / "pseudonyms.json")
    filmed = [export.film(config, "development", patient, 0) for patient in range(7)]
    return {f"{key.patient(v.patient_id)}_{v.data_idx:05d}": v for v in filmed}


@pytest.fixture(scope="module")
def source(trained):
    options = {**OPTIONS, "part": "development"}
    return sources.open_source("lus_clips", options=options, data_dir=str(trained[0]))


def test_the_index_has_every_video_once_and_no_name(hospital, truth):
    text = (hospital / "development" / "index.csv").read_text()
    with (hospital / "development" / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    videos = [row for row in rows if row["data_type"] == "video"]
    assert {row["video_id"]: int(row["frames"]) for row in videos} == {
        name: len(video.frames) for name, video in truth.items()
    }
    assert len(rows) == 2 * len(videos)  # and a still image of each patient
    assert "PHANTOM" not in text and str(hospital) not in text


def test_the_clips_are_the_phantoms_frames(source, truth):
    batch = source.load(np.arange(len(source)))
    seen = 0
    for place, name in enumerate(source.table.video_id):
        start = int(source.table.example_id[place].split("_")[-2]) - 1
        length = batch["clip_length"][place]
        filmed = truth[name].frames[start : start + length].astype(int)
        clip = batch["clip"][place, :length, ..., 0].astype(int)
        inside = clip.max(axis=0) > 0
        # Stored and converted without loss.
        np.testing.assert_array_equal(clip[:, inside], filmed[:, inside])
        # Outside the fan it is black; of pictures this small it takes some rim along.
        assert np.where(inside, 0, filmed).sum() < 0.1 * filmed.sum()
        seen += 1
    assert seen == len(source) > 14


def test_the_labels_are_the_table_of_clips(hospital, source, truth):
    """And those, as one annotator knows the truth, are true."""
    with (hospital / "development" / "clips.csv").open() as file:
        table = {row["clip_id"]: row for row in csv.DictReader(file)}
    assert set(table) == set(source.table.example_id)
    videos = {row["video_id"] for row in table.values()}
    frames = [len(truth[video].frames) for video in videos]
    assert len(table) == sum(1 + max(0, ceil((n - LENGTH) / STEP)) for n in frames)
    for name, labels in zip(source.table.example_id, source.table.labels, strict=True):
        row = table[name]
        assert labels.tolist() == [int(row[f"label_{p}"]) for p in PATTERNS]
        marks = truth[row["video_id"]].marks
        marks = marks | {"b_line": marks["b_line"] + marks["confluent_b_line"]}
        true = [
            any(a <= int(row["end"]) and int(row["start"]) <= b for a, b in marks[p])
            for p in PATTERNS
        ]
        # Both must have marked it: the other may have missed what is true.
        assert np.all(labels <= np.array(true))
    counts = source.table.labels.sum()
    assert counts > 0.6 * len(table)


def test_the_network_is_trained_on_them(trained):
    _, workdir, _ = trained
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics
    assert (workdir / "predictions.csv").is_file()
    with (workdir / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["patient_id"][0] for row in rows} == {"P"}


def test_no_name_of_the_hospital_leaves_it(hospital, trained):
    data_dir, workdir, out = trained
    files = [p for folder in (data_dir, workdir) for p in folder.rglob("*")]
    for path in files:
        if path.is_file():
            content = path.read_bytes()
            assert b"PHANTOM" not in content, path
            # The run remembers the folder that its user gave, and nothing below it.
            assert f"{hospital}/".encode() not in content, path
    assert "PHANTOM0" not in out
    for name in ("index.csv", "clips.csv", "agreement.json", "labels/ignore.csv"):
        assert "PHANTOM" not in (hospital / "development" / name).read_text(), name
