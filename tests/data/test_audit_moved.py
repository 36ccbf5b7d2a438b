"""Mirrored and cropped copies, and sets in which everything looks alike."""

import json

import cv2
import numpy as np
import pytest

from tests.conftest import TINY
from tests.data.test_audit import Pictures, copy, manifest, picture, rows_with_copy
from ultrasound_jax.data import dataset, protocols
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.audit import command, leaks
from ultrasound_jax.data.audit.best_pairs import BestPairs
from ultrasound_jax.data.audit.between import alike, not_all
from ultrasound_jax.data.audit.page import Report
from ultrasound_jax.data.manifest import Manifest


def cropped(pixels, top, bottom, left, right):
    """By fractions of the sides, and back to the old size as a dataset does it."""
    height, width = pixels.shape[:2]
    rows = slice(round(height * top), height - round(height * bottom))
    columns = slice(round(width * left), width - round(width * right))
    size = {"dsize": (width, height), "interpolation": cv2.INTER_LINEAR}
    return cv2.resize(pixels[rows, columns, 0], **size)[..., None]


def even(fraction):
    return lambda pixels: cropped(pixels, *(fraction,) * 4)


def with_changed(change):
    rows = rows_with_copy()[:8]
    one = picture(2, side=160)
    rows[2] = (*rows[2][:3], one)
    return Pictures([*rows, ("v8", "p8", (0, 1), change(copy(one)))])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pixels: pixels[:, ::-1], "mirrored"),
        (lambda pixels: pixels[::-1], "upside down"),
        (lambda pixels: pixels[::-1, ::-1], "turned by 180"),
        (even(0.04), "cropped by 4% a side"),
        (even(0.08), "cropped by 8% a side"),
        (lambda pixels: even(0.04)(pixels)[:, ::-1], "mirrored, cropped by 4% a side"),
    ],
    ids=["mirror", "upside_down", "turned", "crop_4", "crop_8", "mirror_crop"],
)
def test_a_changed_copy_under_another_patient_is_found_and_named(change, said):
    source = with_changed(change)
    found, samples = command.audit(source)
    (pair,) = found.leaking
    assert {pair.first, pair.second} == {2, 8} and pair.how == said
    assert pair.detail > 0.25
    assert leaks.patients_to_join(source.table, found) == [["p2", "p8"]]
    text = Report(source, samples, found, 0.97, "").as_text()
    assert f"a copy {said}" in text and "changed     1 pairs across sides" in text


def test_a_changed_copy_within_one_side_does_not_matter():
    source = with_changed(lambda pixels: pixels[:, ::-1])
    together = manifest(source, test=[2, 8], fold_1=[0, 1])
    assert command.audit(source, together)[0].clean


def test_a_plain_copy_is_no_changed_one_and_lookalikes_are_no_copies():
    leaking = command.audit(Pictures(rows_with_copy()))[0].leaking
    assert [pair.how for pair in leaking] == [""]
    alike = picture(2, speckle=30)[:, ::-1]
    source = Pictures([*rows_with_copy()[:8], ("v8", "p8", (0, 1), alike)])
    assert command.audit(source)[0].clean


def test_the_audit_says_what_it_cannot_see(tmp_path):
    source = Pictures(rows_with_copy()[:8])
    found, samples = command.audit(source)
    report = Report(source, samples, found, 0.97, "")
    assert "not seen    copies that are rotated, cropped by more than 9%" in (
        report.as_text()
    )
    report.write(tmp_path)
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content["pictures_for_mirrored_and_cropped"] == 8
    assert "rotated" in content["not_looked_for"]


def test_of_a_set_that_is_all_alike_so_many_pairs_are_kept_and_the_rest_is_said(
    monkeypatch,
):
    monkeypatch.setattr(leaks, "MOST_PAIRS", 200)
    one = picture(1)
    noise = np.random.default_rng(0)
    rows = [
        (f"v{i}", f"p{i}", (0, 1), (one + noise.integers(0, 6, one.shape)).astype("u1"))
        for i in range(60)
    ]
    source = Pictures(rows)
    found, samples = command.audit(source)
    assert len(found.pairs) == 200 and found.dropped == 60 * 59 // 2 - 200
    (group,) = leaks.patients_to_join(source.table, found)
    assert len(group) == 60, "what joins them is never dropped"
    text = Report(source, samples, found, 0.97, "").as_text()
    assert "and 1570 pairs that were too many to keep" in text


def test_the_best_pairs_are_those_of_all_blocks_together():
    rng = np.random.default_rng(3)
    video, side = np.arange(40) // 2, np.arange(40) // 8
    kept = BestPairs(video, side, most=1000)
    wanted = {}
    for _ in range(5):
        first = rng.integers(0, 20, 30)
        second = first + rng.integers(2, 20, 30)
        values = rng.random(30).astype(np.float32)
        kept.add(first, second, values)
        for one, other, value in zip(first, second, values, strict=True):
            key = (video[one], video[other])
            best, times = wanted.get(key, (0, 0))
            wanted[key] = (max(best, value), times + 1)
    found = {
        (video[one], video[other]): (value, times)
        for one, other, value, times in kept.rows()
    }
    assert found == wanted and kept.dropped == 0


def test_of_two_datasets_the_nearest_copy_is_named_and_a_part_is_said(monkeypatch):
    one = Pictures([(f"v{i}", f"p{i}", (0, 1), picture(i)) for i in range(6)])
    far = copy(copy(picture(2)))
    shown = [picture(20), far, picture(2), picture(21)]
    other = Pictures([(f"w{i}", f"q{i}", (0, 1), p) for i, p in enumerate(shown)])
    (found,) = alike(one, other)
    assert (found.example, found.other) == ("e2", "e2") and found.correlation > 0.999
    assert not_all(one, other) == ""
    monkeypatch.setattr("ultrasound_jax.data.audit.between.MOST_PICTURES", 2)
    assert "every 3. picture of a video" in not_all(one, other)


def test_a_runs_splits_tell_the_audit_which_dataset_with_which_options(
    tiny_config, tmp_path, capsys
):
    data = tiny_config.data
    source, splits, _ = dataset.open_split(data, lambda line: None)
    splits.write(tmp_path / "splits.json")
    assert Manifest.read(tmp_path / "splits.json").built["options"].items() >= (
        TINY.items()
    )
    where = [f"--data_dir={data.data_dir}", f"--out={tmp_path / 'out'}"]
    assert command.main([f"--manifest={tmp_path / 'splits.json'}", *where]) == 0
    said = capsys.readouterr().out
    assert "lus_phantom with" in said and "patients=14" in said
    protocols.assign(splits, source.table, protocol="holdout", fold=0)

    old = json.loads((tmp_path / "splits.json").read_text())
    built = old.pop("built")  # as earlier versions wrote them
    (tmp_path / "splits.json").write_text(json.dumps(old))
    assert command.main([f"--manifest={tmp_path / 'splits.json'}", *where]) == 2
    assert "nothing says which dataset" in capsys.readouterr().err
    about = {"preprocessing": {"dataset": "lus_phantom", "options": built["options"]}}
    (tmp_path / "model.json").write_text(json.dumps(about))
    assert command.main([f"--manifest={tmp_path / 'splits.json'}", *where]) == 0


def test_without_a_dataset_and_a_manifest_nothing_is_audited(capsys):
    assert command.main([]) == 2
    assert "give its name" in capsys.readouterr().err
    assert sources.known_datasets()
