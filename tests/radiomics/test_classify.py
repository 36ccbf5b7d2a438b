import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.datasets.building import built
from tests.radiomics import made_folder
from ultrasound_jax.analysis.__main__ import main as analysis
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.datasets.pu2756.pu2756_dataset_builder import Builder
from ultrasound_jax.radiomics.classify import main
from ultrasound_jax.radiomics.learn import crossval, store

QUICK = ["--images", "original", "--trials", "0", "--folds", "3", "--replicates", "200"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("radiomics")
    made_folder.write(root / "manual")
    built(Builder, root / "manual", root / "built")
    return root / "built"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "features.jsonl"


@pytest.fixture(scope="module")
def classify(data_dir, cache):
    def run(workdir, *words, code=0):
        where = ["--data_dir", str(data_dir), "--workdir", str(workdir)]
        given = ["pu2756", *where, "--cache", str(cache), *QUICK, *map(str, words)]
        assert main(given) == code
        return workdir

    return run


@pytest.fixture
def plain(monkeypatch):
    """Leaves out what takes longest, the report, where it is not what is asked."""
    monkeypatch.setattr(crossval.run_report, "write_report", lambda *a, **k: None)


@pytest.fixture(scope="module")
def run(classify, tmp_path_factory):
    return classify(tmp_path_factory.mktemp("runs") / "boosting")


def scores(folder):
    return Predictions.read(folder / "predictions.csv").scores


def test_every_patient_is_scored_by_a_classifier_that_never_saw_them(run):
    table = Predictions.read(run / "predictions.csv")
    assert set(table.split) == {"out_of_fold"} and table.kind == "multiclass"
    assert len(table) == made_folder.EXAMS - 1
    manifest = Manifest.read(run / "splits.json")
    assert manifest.folds == 3
    of = {p: k for k in range(3) for p in manifest.parts[f"fold_{k}"].patients}
    assert [of[p] for p in table.patient_id] == table.fold.tolist()
    assert table.units == ("image", "image")


def test_regions_that_differ_are_told_apart(run):
    metrics = json.loads((run / "metrics.json").read_text())
    found = metrics["out_of_fold"]["image"]
    assert found["macro_auroc"] > 0.9 and found["macro_auroc_ci"] is not None


def test_what_cannot_be_measured_is_left_out_and_told(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["left_out"] == {"the mask is empty": 1}
    assert "1 the mask is empty" in (run / "report.md").read_text()
    assert "E0006" not in Predictions.read(run / "predictions.csv").example_id


def test_a_fold_says_which_features_it_used(run):
    found = json.loads((run / "fold_1.json").read_text())
    assert set(found["selected"]) <= set(store.feature_names(store.Settings()))
    assert len(found["selected"]) == found["counts"]["selected"]
    assert found["counts"]["features"] == 102


def test_the_verbs_of_the_analysis_take_the_run(run, classify, tmp_path):
    other = classify(tmp_path / "forest", "--classifier", "forest")
    quick = ["--replicates", "200"]
    metrics = ["metrics", str(run), "--out", str(tmp_path / "m"), *quick]
    assert analysis(metrics) == 0
    for verb in ("compare", "report"):
        out = tmp_path / verb
        assert analysis([verb, str(run), str(other), "--out", str(out), *quick]) == 0
        assert (out / f"{verb}.md").exists()


def test_a_run_goes_on_where_it_was_interrupted(plain, run, classify, monkeypatch):
    before, table = scores(run), (run / "splits.json").read_text()

    def measured_again(*rest):
        raise AssertionError("it is in the cache")

    trained = []
    fitted = crossval.fitted_scores
    monkeypatch.setattr(store, "_measure", measured_again)
    monkeypatch.setattr(
        crossval, "fitted_scores", lambda *a, **k: trained.append(1) or fitted(*a, **k)
    )
    (run / "fold_1.json").unlink()
    classify(run)
    assert len(trained) == 1
    assert (scores(run) == before).all()
    assert (run / "splits.json").read_text() == table


def test_measuring_goes_on_where_it_was_interrupted(plain, cache, classify, tmp_path):
    lines = cache.read_bytes().splitlines(keepends=True)
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(lines[:8]) + lines[8][:40])
    words = ["--cache", part, "--features", "radiomics", "--processes", "2"]
    classify(tmp_path / "run", *words)
    found = part.read_bytes().splitlines(keepends=True)
    assert found == lines


def test_a_cache_of_other_settings_is_measured_anew(plain, classify, tmp_path, capsys):
    own = tmp_path / "own.jsonl"
    for width in ("25", "10"):
        classify(tmp_path / width, "--cache", own, "--bin_width", width)
        assert json.loads(own.read_text().splitlines()[0])["settings"]["settings"][
            "bin_width"
        ] == float(width)


def test_published_folds_are_kept_but_for_patients_in_several(
    classify, tmp_path, capsys
):
    folder = classify(tmp_path / "run", "--folds", "published")
    said = capsys.readouterr().out
    assert "1 examples changed their published fold" in said
    assert "1 examples have no published fold" in said
    table = Predictions.read(folder / "predictions.csv")
    fold = dict(zip(table.example_id, table.fold.tolist(), strict=True))
    for k in range(made_folder.EXAMS):
        name = f"E{k + 1:04d}"
        if k in (made_folder.WITHOUT_FOLD, made_folder.WITHOUT_REGION):
            assert name not in fold
        else:
            assert fold[name] == (0 if k in made_folder.ONE_PATIENT else k // 3 % 3)


def test_six_classes_can_be_told(plain, classify, tmp_path):
    folder = classify(tmp_path / "run", "--target", "label6")
    table = Predictions.read(folder / "predictions.csv")
    assert table.classes == ("benign", "adenocarcinoma", "squamous")
    assert "E0012" not in table.example_id  # of unknown diagnosis
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["left_out"]["another class, or none"] == 1


def test_classes_are_chosen_and_ordered(plain, classify, tmp_path):
    words = ["--target", "label6", "--classes", "squamous", "benign"]
    folder = classify(tmp_path / "run", *words)
    table = Predictions.read(folder / "predictions.csv")
    assert table.classes == ("squamous", "benign")
    assert table.labels[table.example_id.index("E0001")].tolist() == [0, 1]


def test_codes_alone_need_no_region(plain, classify, tmp_path):
    sheet = tmp_path / "codes.csv"
    noise = np.random.default_rng(0).random(made_folder.EXAMS)
    lines = [f"E{k + 1:04d},{k % 2 + n},{n}" for k, n in enumerate(noise)]
    sheet.write_text("\n".join(["example_id,told,noise", *lines]))
    words = ["--codes", sheet, "--features", "codes"]
    folder = classify(tmp_path / "codes", *words)
    assert len(Predictions.read(folder / "predictions.csv")) == made_folder.EXAMS
    found = json.loads((folder / "fold_0.json").read_text())
    assert found["counts"] == {"features": 2, "not constant": 2}
    assert not (folder / "features.jsonl").exists()


def test_mix_has_both(plain, run, classify, tmp_path):
    table = Predictions.read(run / "predictions.csv")
    codes = np.random.default_rng(0).random((len(table), 3))
    np.savez(tmp_path / "c.npz", example_id=np.array(table.example_id), codes=codes)
    words = ["--features", "mix", "--codes", tmp_path / "c.npz"]
    folder = classify(tmp_path / "mix", *words)
    found = json.loads((folder / "fold_0.json").read_text())
    assert found["counts"]["features"] == 105


def test_a_search_is_on_training_patients_and_repeatable(plain, classify, tmp_path):
    words = ["--classifier", "svm", "--trials", "2", "--inner", "2"]
    one, other = (classify(tmp_path / name, *words) for name in "ab")
    assert (scores(one) == scores(other)).all()
    found = json.loads((one / "fold_0.json").read_text())
    assert 0 <= found["inner_auroc"] <= 1 and "kernel" in found["parameters"]


def segmentation(folder, names):
    """A cross-validated segmentation that found the same rectangle on all images."""
    (folder / "masks").mkdir(parents=True)
    files = tuple(f"masks/{name}.png" for name in names)
    mask = np.zeros((40, 48), np.uint8)
    mask[5:20, 10:30] = 1
    for file in files:
        cv2.imwrite(str(folder / file), mask)
    counts = np.ones((len(names), 1), int)
    MaskTable(
        example_id=names,
        video_id=names,
        patient_id=names,
        fold=np.arange(len(names)) % 2,
        split=("out_of_fold",) * len(names),
        classes=("lesion",),
        tp=counts,
        fp=counts,
        fn=counts,
        mask_file=files,
        units=("image", "image"),
    ).write(folder / "predictions.csv")
    return folder


def test_found_masks_take_the_place_of_the_dataset_s(plain, classify, tmp_path):
    names = tuple(f"E{k + 1:04d}" for k in range(made_folder.EXAMS))
    found, own = segmentation(tmp_path / "found", names), tmp_path / "own.jsonl"
    folder = classify(tmp_path / "run", "--masks", found, "--cache", own)
    assert len(Predictions.read(folder / "predictions.csv")) == made_folder.EXAMS
    rows = [json.loads(line) for line in own.read_text().splitlines()[1:]]
    place = store.feature_names(store.Settings()).index("original_shape2D_PixelSurface")
    assert {row["value"]["values"][place] for row in rows} == {15.0 * 20.0}


def test_a_segmentation_without_a_mask_of_each_is_refused(
    plain, classify, tmp_path, capsys
):
    names = tuple(f"E{k + 1:04d}" for k in range(made_folder.EXAMS - 2))
    found, own = segmentation(tmp_path / "found", names), tmp_path / "own.jsonl"
    words = ["--masks", found, "--cache", own]
    classify(tmp_path / "run", *words, code=2)
    assert "has no mask of 2 examples, such as 'E0026'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folds", "one"], "--folds one: allowed are numbers from 2 and published"),
        (["--features", "mix"], "--features mix: --codes FILE goes with"),
        (["--target", "grade"], "target 'grade' is no class"),
        (["--classes", "benign", "odd"], "'odd' is no class"),
        (["--classes", "benign"], "nothing to tell apart"),
        (["--options", "size"], "--options size: allowed is NAME=VALUE"),
        (["--inner", "1"], "inner=1"),
        (["--images", "fourier"], "no image is called 'fourier'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(classify, tmp_path, capsys, words, said):
    classify(tmp_path / "run", *words, code=2)
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error


def test_a_folder_of_something_else_or_of_other_settings_is_refused(
    run, classify, tmp_path, capsys
):
    (tmp_path / "file.txt").write_text("mine")
    classify(tmp_path, code=2)
    assert "holds other files" in capsys.readouterr().err
    classify(run, "--classifier", "forest", code=2)
    assert "with other settings (classifier)" in capsys.readouterr().err


def test_a_dataset_without_masks_is_refused(tmp_path, capsys):
    where = ["--data_dir", str(tmp_path / "data"), "--workdir", str(tmp_path / "run")]
    options = ["--options", "patients=2", "videos=1", "size=32"]
    assert main(["lus_phantom", *where, *options]) == 2
    assert "0 masks an example" in capsys.readouterr().err
    assert not Path(tmp_path / "run").exists()
