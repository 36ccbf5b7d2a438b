"""Leaks that are planted are found, and nothing else is."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT, TINY
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.audit import command
from ultrasound_jax.data.audit.contact_sheet import (
    TILE,
    contact_sheet,
)
from ultrasound_jax.data.audit.leaks import patients_to_join
from ultrasound_jax.data.audit.page import Report
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.manifest import Manifest, Part
from ultrasound_jax.data.spec import Spec, SpecError
from ultrasound_jax.data.splits import SplitError, make_manifest
from ultrasound_jax.data.table_file import TABLE_FILE, pixel_hash

SHARED = Path(os.environ.get("ULTRASOUND_JAX_DATA") or ROOT.parent / "shared" / "data")


class Pictures(sources.Source):
    """A source of pictures in memory: `(video, patient, label, pixels)` a row."""

    def __init__(self, rows, pixels="image", study=()):
        self.name, self.pixels, self.classes = "planted/none/1.0.0", pixels, ("a", "b")
        units = ("image", "image") if pixels == "image" else ("clip", "video")
        self.spec = Spec({}, units)
        self.records = [{pixels: row[3]} for row in rows]
        self.table = ExampleTable(
            example_id=tuple(f"e{i}" for i in range(len(rows))),
            video_id=tuple(row[0] for row in rows),
            patient_id=tuple(row[1] for row in rows),
            labels=np.array([row[2] for row in rows], np.int8),
            classes=self.classes,
            data_hash="4f2a",
            dataset=self.name,
            study_id=tuple(study),
            pixel_hash=tuple(pixel_hash(row[3]) for row in rows),
        )


def picture(seed, side=96, speckle=None):
    """Coarse tissue and fine speckle, each different for every seed."""
    rng = np.random.default_rng([11, seed])
    coarse = cv2.resize(rng.random((6, 6)), (side, side), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng([12, seed if speckle is None else speckle])
    grain = cv2.GaussianBlur(rng.random((side, side)), (0, 0), 1.0)
    mixed = 20 + 180 * coarse + 90 * (grain - 0.5)
    return mixed.clip(0, 255).astype(np.uint8)[..., None]


def copy(pixels):
    """The same with other contrast, noise and calipers."""
    noise = np.random.default_rng(3).normal(0, 4, pixels.shape)
    again = (0.8 * pixels + 20 + noise).clip(0, 255).astype(np.uint8)
    again[40:42, 30:50] = 255
    return again


def rows_with_copy(label=(0, 1)):
    rows = [(f"v{i}", f"p{i}", (0, 1), picture(i)) for i in range(8)]
    return [*rows, ("v8", "p8", label, copy(picture(2)))]


def manifest(source, *, test, fold_1):
    """Places of the test part and of fold 1; all others are in fold 0."""
    table = source.table
    rest = set(range(len(source))) - set(test) - set(fold_1)
    parts = {"test": test, "fold_0": sorted(rest), "fold_1": fold_1}
    return Manifest(
        dataset=source.name,
        data_hash=table.data_hash,
        seed=None,
        classes=table.classes,
        parts={
            name: Part(
                patients=tuple(sorted({table.patient_id[i] for i in places})),
                examples=tuple(sorted(table.example_id[i] for i in places)),
            )
            for name, places in parts.items()
        },
    )


def found(source, *args, **options):
    return command.audit(source, *args, **options)[0]


def test_different_pictures_are_clean():
    leaks = found(Pictures(rows_with_copy()[:8]))
    assert leaks.clean and leaks.pairs == []


def test_a_copy_under_another_patient_is_found_and_told_from_a_lookalike():
    source = Pictures(rows_with_copy())
    leaks = found(source)
    assert [(p.first, p.second) for p in leaks.leaking] == [(2, 8)]
    assert leaks.leaking[0].correlation > 0.97 and leaks.leaking[0].detail > 0.5
    assert patients_to_join(source.table, leaks) == [["p2", "p8"]]


def test_pictures_that_only_look_alike_can_be_let_through():
    alike = picture(2, speckle=30)
    source = Pictures([*rows_with_copy()[:8], ("v8", "p8", (0, 1), alike)])
    strict, lenient = found(source), found(source, least_detail=0.25)
    assert len(strict.leaking) == 1 and not strict.clean
    assert lenient.clean and len(lenient.pairs) == 1


def test_a_manifest_is_clean_if_copies_are_in_one_part_only():
    source = Pictures(rows_with_copy())
    together = manifest(source, test=[2, 8], fold_1=[0, 1])
    torn = manifest(source, test=[2], fold_1=[0, 8])
    assert found(source, together).clean
    leaks = found(source, torn)
    assert [leaks.sides[i] for i in (2, 8)] == ["test", "fold_1"]
    assert not leaks.clean


def test_patients_videos_and_studies_on_two_sides_are_named():
    rows = [(f"v{i // 2}", f"p{i // 2}", (0, 1), picture(i)) for i in range(8)]
    source = Pictures(rows, study=["s0", "", "s1", "s1", "s2", "s2", "", "s0"])
    leaks = found(source, manifest(source, test=[0], fold_1=[2, 3]))
    assert leaks.names == {
        "patient_id": ["p0"],
        "video_id": ["v0"],
        "study_id": ["s0"],
    }
    assert not leaks.clean


def test_equal_pixels_are_found_whatever_they_look_like():
    rows = rows_with_copy()[:8]
    rows[5] = ("v5", "p5", (0, 1), picture(1))
    leaks = found(Pictures(rows), threshold=0.9999)
    assert leaks.same_pixels == [[1, 5]]


def test_empty_pictures_are_no_copies_of_each_other():
    black = np.zeros((96, 96, 1), np.uint8)
    rows = [*rows_with_copy()[:8], *((f"b{i}", f"q{i}", (0, 1), black) for i in "xy")]
    leaks, samples = command.audit(Pictures(rows))
    assert leaks.clean and samples.empty == 2


def test_labels_that_contradict_each_other_are_counted_and_unknown_ones_are_not():
    counted = []
    for label in ((1, 1), (-1, 1), (0, 1)):
        source = Pictures(rows_with_copy(label))
        counted.append(sum(pair.labels_differ for pair in found(source).pairs))
    assert counted == [1, 0, 0]


def test_a_film_that_was_cut_elsewhere_is_recognised():
    scene = np.concatenate([picture(7, 140)] * 2, axis=1)[:96]
    film = np.stack([scene[:, t : t + 96] for t in range(24)])
    rows = [("v0", "p0", (0, 1), film[0:10]), ("v0", "p0", (0, 1), film[10:20])]
    rows += [("v1", "p1", (0, 1), copy(film)[6:16])]
    rows += [
        (f"w{i}", f"q{i}", (0, 1), np.stack([picture(40 + i)] * 5)) for i in range(4)
    ]
    leaks = found(Pictures(rows, "clip"), threshold=0.8)
    pair = leaks.leaking[0]
    assert (pair.first, pair.second) in [(0, 2), (1, 2)]
    assert pair.detail > 0.5  # the very same moment is in both clips
    assert pair.times == 2


def test_of_many_clips_every_second_of_a_video_is_looked_at():
    rows = [(f"v{i // 4}", f"p{i // 4}", (0, 1), picture(i)) for i in range(16)]
    samples = command.audit(Pictures(rows), most=8)[1]
    assert samples.example.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


def test_a_ct_slice_is_shown_through_a_lung_window():
    slices = [
        (16 * picture(i).astype(np.int16) - 1600)[..., 0][..., None] for i in (2, 3)
    ]
    rows = [("v0", "p0", (0, 1), slices[0]), ("v1", "p1", (0, 1), slices[1])]
    rows += [("v2", "p2", (0, 1), slices[0] + np.int16(9))]
    leaks = found(Pictures(rows))
    assert [(p.first, p.second) for p in leaks.leaking] == [(0, 2)]
    assert leaks.leaking[0].detail > 0.9


def test_the_report_says_what_was_found_in_words_numbers_and_pictures(tmp_path):
    source = Pictures(rows_with_copy(label=(1, 1)))
    leaks, samples = command.audit(source)
    report = Report(source, samples, leaks, 0.97, "")
    text = report.as_text()
    assert "e2 (p2) ~ e8 (p8)" in text
    assert text.splitlines()[-1] == (
        "LEAK; 1 of 1 pairs have a copy's grain (--detail 0.25 counts those only); "
        "one patient each may be p2 p8"
    )
    report.write(tmp_path)
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content["clean"] is False and content["patients_to_join"] == [["p2", "p8"]]
    assert content["pairs"] == {
        "all": 1,
        "across_sides": 1,
        "leaking": 1,
        "mirrored_or_cropped": 0,
        "not_kept": 0,
        "leaking_copies": 1,
        "across_patients": 1,
        "across_labels": 1,
    }
    (row,) = csv.DictReader((tmp_path / "audit.csv").read_text().splitlines())
    assert (row["example_id_1"], row["side_2"], row["leak"]) == ("e2", "p8", "1")
    sheet = cv2.imread(str(tmp_path / "audit.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None and sheet.shape[0] > TILE


def test_a_contact_sheet_shows_both_pictures_side_by_side():
    dark, light = np.full((50, 100), 60, np.uint8), np.full((100, 50), 200, np.uint8)
    sheet = contact_sheet([(dark, light)], [("one", "other", "both")])
    assert sheet[6 + TILE // 2, 6 + TILE // 2] == 60
    assert sheet[6 + TILE // 2, 6 + TILE + TILE // 2] == 200
    assert sheet[6, 6] == 0  # the letterbox


def test_training_refuses_splits_with_the_same_pixels_on_two_sides():
    source = Pictures(rows_with_copy())
    table = replace(source.table, pixel_hash=tuple("abcdefgha"))
    splits = manifest(source, test=[0], fold_1=[1, 8])
    with pytest.raises(SplitError) as refused:
        splits.check(table)
    assert "e0 in test, e8 in fold_1" in str(refused.value)
    assert "python -m ultrasound_jax.data.audit planted" in str(refused.value)
    manifest(source, test=[0, 8], fold_1=[1]).check(table)


def test_training_refuses_splits_with_a_study_on_two_sides():
    source = Pictures(rows_with_copy())
    table = replace(source.table, study_id=tuple("s......st"))
    table = replace(table, study_id=tuple(s.strip(".") for s in table.study_id))
    with pytest.raises(SplitError, match="studies on two sides of the manifest: s"):
        manifest(source, test=[0], fold_1=[1, 7]).check(table)


def test_computed_splits_keep_patients_with_equal_pixels_together():
    source = Pictures(rows_with_copy())
    table = replace(source.table, pixel_hash=tuple("abcdefgha"))
    for seed in range(5):
        splits = make_manifest(table, folds=3, seed=seed)
        splits.check(table)
        sides = splits.sides(table)
        assert sides[0] == sides[8]


@pytest.fixture(scope="module")
def phantom(data_dir):
    where = {"options": TINY, "data_dir": str(data_dir)}
    sources.prepare("lus_phantom", **where, say=lambda line: None)
    return sources.open_source("lus_phantom", **where)


def run(data_dir, out, *more):
    options = [f"--option={key}={value}" for key, value in TINY.items()]
    return command.main(
        ["lus_phantom", f"--data_dir={data_dir}", f"--out={out}", *options, *more]
    )


def test_the_command_proves_the_phantom_clean(phantom, data_dir, tmp_path, capsys):
    path = tmp_path / "splits.json"
    make_manifest(phantom.table, folds=3).write(path)
    assert run(data_dir, tmp_path / "out", f"--manifest={path}") == 0
    assert "clean: nothing crosses" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert content["clean"] and content["manifest"] == "splits.json"
    assert content["pictures"] == len(phantom)


def test_the_command_ends_with_one_on_a_torn_patient(
    phantom, data_dir, tmp_path, capsys
):
    splits = make_manifest(phantom.table, folds=3)
    moved = splits.parts["test"].examples[0]
    parts = dict(splits.parts)
    kept = tuple(e for e in parts["test"].examples if e != moved)
    parts["test"] = replace(parts["test"], examples=kept)
    more = tuple(sorted((*parts["fold_0"].examples, moved)))
    parts["fold_0"] = replace(parts["fold_0"], examples=more)
    path = tmp_path / "splits.json"
    replace(splits, parts=parts, counts={}).write(path)
    assert run(data_dir, tmp_path / "out", f"--manifest={path}") == 1
    patient = moved.split("_")[0]
    assert f"patients    1 on two sides: {patient}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--option=sides=3"], "no option 'sides'"),
        (
            ["--manifest=none.json"],
            "none.json: there is no such file; give a run's splits",
        ),
        (["--threshold=1.5"], "threshold=1.5"),
    ],
)
def test_what_cannot_be_audited_ends_with_two_and_one_line(
    phantom, data_dir, tmp_path, capsys, more, message
):
    assert run(data_dir, tmp_path, *more) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


def test_a_manifest_of_other_data_is_not_audited(phantom, data_dir, tmp_path, capsys):
    path = tmp_path / "splits.json"
    splits = make_manifest(phantom.table, folds=3)
    replace(splits, data_hash="other").write(path)
    assert run(data_dir, tmp_path, f"--manifest={path}") == 2
    assert "was made for data other" in capsys.readouterr().err


def test_a_table_without_pixel_hashes_is_scanned_again(tmp_path):
    where = {"options": TINY | {"patients": 2}, "data_dir": str(tmp_path)}
    sources.prepare("lus_phantom", **where, say=lambda line: None)
    table = sources.open_source("lus_phantom", **where).table
    (path,) = tmp_path.rglob(TABLE_FILE)
    first, *rows = path.read_text().splitlines()
    old = [",".join(row.split(",")[:3] + row.split(",")[5:]) for row in rows]
    path.write_text("\n".join([first, *old]) + "\n")
    again = sources.open_source("lus_phantom", **where).table
    assert again.pixel_hash == table.pixel_hash and all(table.pixel_hash)
    assert again.data_hash == table.data_hash


def test_a_set_of_images_is_opened_and_makes_batches_at_one_size_only(tmp_path):
    dummy = ROOT / "ultrasound_jax/datasets/busi/dummy_data"
    where = {"options": {}, "data_dir": str(tmp_path)}
    sources.prepare("busi", **where, manual_dir=str(dummy), say=lambda line: None)
    source = sources.open_source("busi", **where)
    assert source.pixels == "image"
    assert set(source.classes) == {"benign", "malignant", "normal"}
    assert source.table.video_id == source.table.example_id
    with pytest.raises(SpecError, match="'image' has examples of several sizes"):
        source.load([0])


@pytest.mark.shared_data
@pytest.mark.slow
def test_the_known_duplicates_of_busi_are_found(tmp_path):
    if not (SHARED / "busi").is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with busi/Dataset_BUSI…")
    arguments = [f"--data_dir={tmp_path}", f"--manual_dir={SHARED}"]
    assert command.main(["busi", *arguments, f"--out={tmp_path}"]) == 1
    pairs = json.loads((tmp_path / "audit.json").read_text())["pairs"]
    changed = pairs["mirrored_or_cropped"]  # its groups know of plain copies only
    assert (pairs["all"] - changed, pairs["leaking"]) == (198, changed)
    assert 0 < changed < 12 and pairs["across_labels"] >= 9


@pytest.mark.shared_data
@pytest.mark.slow
def test_the_two_groups_of_pocus_that_show_one_recording_are_found(tmp_path):
    if not (SHARED / "pocus").is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with pocus/data")
    arguments = [f"--data_dir={tmp_path}", f"--manual_dir={SHARED}"]
    assert (
        command.main(["pocus", *arguments, f"--out={tmp_path}", "--detail=0.25"]) == 1
    )
    content = json.loads((tmp_path / "audit.json").read_text())
    assert ["G087", "G089"] in content["patients_to_join"]
    assert content["same_pixels"] == []
