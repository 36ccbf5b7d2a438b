"""Two stages on the phantom: whose masks, which regions, in which folds."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from tests.study import two_stages as tiny
from ultrasound_jax import config as settings
from ultrasound_jax import pretrained
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.datasets.regions.files import file_of, read_grey
from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.media.regions import Cut, cut_out, resized
from ultrasound_jax.predict import open_run
from ultrasound_jax.predict.binding import BindingError
from ultrasound_jax.predict.stages import __main__ as front
from ultrasound_jax.predict.stages import two_stage
from ultrasound_jax.predict.stages.errors import StagesError
from ultrasound_jax.predict.stages.segmenter import open_segmenter
from ultrasound_jax.predict.stages.two_stage import fitted
from ultrasound_jax.starting import Start, training_data
from ultrasound_jax.study.stages import asked, variants
from ultrasound_jax.study.stages.cases import open_cases, write_cases

MARGINS = ("--margins", "25")
CASES = 24
KINDS = ("--kinds", "whole", "masked_roi")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """A segmentation whose networks' masks of cases that they saw are all white."""
    folder = tiny.segmented(tmp_path_factory.mktemp("stages"))
    held = held_out(folder)
    poisoned = 0
    for fold in range(tiny.FOLDS):
        for path in (folder / f"fold_{fold}/masks").glob("*.png"):
            if held[path.stem] != fold:
                cv2.imwrite(str(path), np.ones((tiny.SIZE, tiny.SIZE), np.uint8))
                poisoned += 1
    assert poisoned == CASES  # of each case one: its network was selected on it
    return folder


@pytest.fixture(scope="module")
def staged(segmenter, tmp_path_factory):
    """The folder of both stages."""
    folder = tmp_path_factory.mktemp("staged") / "two"
    assert tiny.stages(segmenter, folder, *KINDS, *MARGINS) == 0
    return folder


@pytest.fixture
def copied(segmenter, tmp_path):
    """A copy of the segmentation, to be tampered with."""
    shutil.copy(segmenter.parent / "classifier.py", tmp_path)
    return shutil.copytree(segmenter, tmp_path / "segmentation")


def held_out(folder):
    manifest = Manifest.read(folder / "splits.json")
    return {
        example: fold
        for fold in range(manifest.folds)
        for example in manifest.parts[f"fold_{fold}"].examples
    }


def told(folder):
    return json.loads((folder / "stages.json").read_text())


def refused(capsys, code):
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    (line,) = [line for line in lines if line.startswith("error:")]
    return line


def test_every_region_is_of_the_mask_of_a_network_that_never_saw_its_case(
    segmenter, staged
):
    for example, fold in held_out(segmenter).items():
        own = read_grey(segmenter / f"fold_{fold}/masks/{file_of(example)}") > 0
        used = read_grey(staged / f"cases/found/{file_of(example)}") > 0
        assert np.array_equal(own, used)
        assert not used.all()  # the poison
        trained = Manifest.read(segmenter / f"fold_{fold}/splits.json")
        assert example in trained.parts[f"fold_{fold}"].examples
        assert settings.read(segmenter / f"fold_{fold}").data.fold == fold


def test_both_stages_have_the_same_cases_in_the_same_folds(segmenter, staged):
    first = MaskTable.read(segmenter / "predictions.csv")
    fold = dict(zip(first.example_id, first.fold.tolist(), strict=True))
    patient = dict(zip(first.example_id, first.patient_id, strict=True))
    names = ("whole", "masked_roi_m25")
    for name in names:
        table = Predictions.read(staged / name / "predictions.csv")
        assert dict(zip(table.example_id, table.fold.tolist(), strict=True)) == fold
        assert dict(zip(table.example_id, table.patient_id, strict=True)) == patient
        for k in range(tiny.FOLDS):
            parts = Manifest.read(staged / name / f"fold_{k}/splits.json").parts
            assert parts == Manifest.read(segmenter / "splits.json").parts
    assert tuple(told(staged)["variants"]) == names


def test_where_nothing_was_found_is_counted_and_stands_in_every_table(
    segmenter, staged
):
    table = MaskTable.read(segmenter / "predictions.csv")
    empty = (table.tp + table.fp).sum(axis=1) == 0
    outlined = (table.tp + table.fn).sum(axis=1) > 0
    found = told(staged)["found"]
    assert 0 < empty.sum() == found["nothing_found"] < found["cases"] == len(table)
    assert found["nothing_found_though_outlined"] == int((empty & outlined).sum())
    assert found["found_though_nothing_outlined"] == int((~empty & ~outlined).sum())
    by_class = [one["nothing_found"] for one in found["classes"].values()]
    assert sum(by_class) == empty.sum()
    missed = {name for name, no in zip(table.example_id, empty, strict=True) if no}
    for name, one in told(staged)["variants"].items():
        rows = Predictions.read(staged / name / "predictions.csv")
        said = dict(zip(rows.example_id, rows.extra["found"], strict=True))
        assert {example for example, word in said.items() if word == "no"} == missed
        assert one["boxes"]["whole_for_nothing"] == len(missed)


def test_the_comparison_is_against_the_whole_picture_with_a_sweep_of_margins(staged):
    tree = told(staged)
    assert tree["reference"] == "whole" and tree["cases_compared"] == CASES
    macro = [row for row in tree["differences"] if row["class"] == "macro"]
    assert [row["model"] for row in macro] == ["masked_roi_m25"]
    assert all("holm_p" in row for row in macro)
    text = (staged / "stages.md").read_text()
    assert f"| masked_roi_m25 | 25 % | {CASES} |" in text
    assert (staged / "compare/compare.md").is_file()
    heights = [tree["variants"][n]["boxes"]["height"][1] for n in tree["variants"]]
    assert 0 < heights[1] <= heights[0] == tiny.SIZE


def test_what_is_done_is_not_done_again_and_kinds_may_be_added(
    segmenter, staged, tmp_path, monkeypatch
):
    folder = shutil.copytree(staged, tmp_path / "two")
    trained = []

    def spy(config, workdir, **more):
        trained.append(workdir.name)
        raise StagesError("stopped")

    monkeypatch.setattr(variants, "cross_validate", spy)
    assert tiny.stages(segmenter, folder, *KINDS, *MARGINS) == 0
    assert trained == []
    more = ("--kinds", "whole", "masked_roi", "true_roi", *MARGINS)
    assert tiny.stages(segmenter, folder, *more) == 2
    assert trained == ["true_roi_m25"]


def test_a_folder_that_was_begun_otherwise_is_refused(segmenter, staged, capsys):
    code = tiny.stages(segmenter, staged, *KINDS, "--part", "union")
    assert "was begun with part='largest', now it is 'union'" in refused(capsys, code)
    code = tiny.stages(segmenter, segmenter, *KINDS)
    assert "holds other files and no two stages" in refused(capsys, code)


def test_one_new_image_goes_through_both_stages(segmenter, staged):
    with tiny.one_device():
        table = Predictions.read(staged / "masked_roi_m25/predictions.csv")
        row = table.extra["found"].index("yes")
        name, fold = table.example_id[row], f"fold_{table.fold[row]}"
        first = open_run(segmenter / fold)
        second = open_run(staged / "masked_roi_m25" / fold)
        picture = read_grey(staged / f"cases/pictures/{name}.png")
        found = two_stage(first, second, picture)
        own = read_grey(segmenter / fold / f"masks/{name}.png")
        assert np.array_equal(found.mask, own) and found.found
        cut = Cut("masked_roi", 25, size=tiny.REGION)
        region, box, _ = cut_out(picture, own > 0, cut)
        assert np.array_equal(found.region, region) and found.box == box
        given = list((found.scores or {}).values())
        np.testing.assert_allclose(given, table.scores[row], rtol=1e-5)
        large = cv2.resize(picture, (90, 60))
        assert two_stage(first, second, large).mask.shape == letterbox(large, 32).shape
        assert np.array_equal(fitted(large, 32, "keep"), letterbox(large, 32))
        assert np.array_equal(fitted(large, 32, "stretch"), resized(large, 32))
        nothing = two_stage(first, second, np.zeros((40, 40), np.uint8))
        assert not nothing.found and nothing.box.sides == (32, 32)
        with pytest.raises(StagesError, match="allowed is a classifier of regions"):
            two_stage(first, first, picture)
        with pytest.raises(StagesError, match="allowed is a segmentation"):
            two_stage(second, second, picture)


def test_a_mask_that_is_not_what_the_run_found_is_refused(copied):
    opened = open_segmenter(copied)
    example = next(iter(opened.files))
    cv2.imwrite(str(opened.files[example]), np.ones((32, 32), np.uint8))
    with pytest.raises(StagesError, match="is not the mask that the run found"):
        opened.mask(example)


def test_a_table_that_takes_masks_of_other_folds_is_refused(copied):
    path = copied / "predictions.csv"
    name = next(n for n, fold in held_out(copied).items() if fold == 0)
    text = path.read_text()
    path.write_text(text.replace(f"fold_0/masks/{name}", f"fold_2/masks/{name}"))
    with pytest.raises(Exception, match="is not the table that metrics.json"):
        open_segmenter(copied)
    metrics = json.loads((copied / "metrics.json").read_text())
    del metrics["run"]["predictions_sha256"]
    (copied / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(StagesError, match="only fold 0's network has not seen it"):
        open_segmenter(copied)


def moved(path):
    """Splits in which a patient has gone to another fold."""
    tree = json.loads(path.read_text())
    tree.pop("counts")
    example = tree["parts"]["fold_0"]["examples"][0]
    patient = example.partition("_")[0]
    for name, part in tree["parts"].items():
        for key, value in (("examples", example), ("patients", patient)):
            kept = {*part[key]} - {value}
            part[key] = sorted(kept | ({value} if name == "fold_1" else set()))
    path.write_text(json.dumps(tree))


def test_splits_by_which_a_case_would_leak_are_refused(copied):
    moved(copied / "splits.json")
    with pytest.raises(StagesError, match="nobody can say whom"):
        open_segmenter(copied)
    for fold in range(tiny.FOLDS):
        moved(copied / f"fold_{fold}/splits.json")
    with pytest.raises(BindingError, match="who train, validate and test"):
        open_segmenter(copied)


def test_what_is_no_whole_cross_validated_segmentation_is_refused(copied, staged):
    with pytest.raises(StagesError, match="holds no cross-validation"):
        open_segmenter(copied / "fold_0")
    with pytest.raises(StagesError, match="allowed is a segmentation"):
        open_segmenter(staged / "whole")
    config = settings.read(copied / "fold_2")
    config.data.fold = 1
    settings.write(config, copied / "fold_2")
    with pytest.raises(StagesError, match="'rotation' and 2"):
        open_segmenter(copied)
    (copied / "fold_2/metrics.json").unlink()
    with pytest.raises(StagesError, match="is not finished: 3 folds"):
        open_segmenter(copied)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--set", "data.name=busi"), "data.name='busi'.*--set data.name=lesion_ph"),
        (("--set", "data.folds=4"), "data.folds=4.*same folds.*--set data.folds=3"),
        (("--set", "data.split_seed=1"), "data.split_seed=1.*has 0"),
        (("--set", "data.options.size=0"), "data.options.size is not set"),
        (("--set", "task.name=segmentation"), "the task segmentation, allowed is a"),
        (("--nothing", "refuse"), "nothing was found on .* of 24.*skip leaves"),
        (("--classes", "cyst"), "cyst: is no class.*benign, malignant, normal"),
    ],
)
def test_stages_that_do_not_fit_together_are_refused(
    segmenter, tmp_path, capsys, given, said
):
    code = tiny.stages(segmenter, tmp_path / "two", *given)
    assert re.search(said, refused(capsys, code))
    assert not (tmp_path / "two/whole").exists()


def test_other_options_and_other_splits_are_refused(segmenter, tmp_path, capsys):
    config = tmp_path / "classifier.py"
    text = (segmenter.parent / "classifier.py").read_text()
    config.write_text(text.replace('{"size": 16}', '{"size": 16, "seed": 1}'))
    given = f"--classifier-config={config}"
    code = tiny.stages(segmenter, tmp_path / "two", given)
    assert "data.options.seed=1" in refused(capsys, code)
    other = shutil.copy(segmenter / "splits.json", tmp_path / "other.json")
    moved(tmp_path / "other.json")
    code = tiny.stages(segmenter, tmp_path / "two", "--set", f"data.manifest={other}")
    assert "data.manifest=" in refused(capsys, code)


def test_a_case_without_a_mask_is_left_out_everywhere_if_that_is_asked(
    segmenter, tmp_path
):
    folder = tmp_path / "two"
    more = ("--kinds", "whole", "--nothing", "skip", "--classes", "malignant", "benign")
    assert tiny.stages(segmenter, folder, *more) == 0
    found = told(folder)["found"]
    assert found["cases"] == 16 and found["nothing_found"] > 0
    table = Predictions.read(folder / "whole/predictions.csv")
    assert table.classes == ("malignant", "benign")
    assert len(table) == 16 - found["nothing_found"]
    first = held_out(segmenter)
    assert all(first[n] == f for n, f in zip(table.example_id, table.fold, strict=True))
    assert told(folder)["differences"] == []
    assert (
        f"| all | 16 | {found['nothing_found']} |" in (folder / "stages.md").read_text()
    )


def test_weights_that_have_seen_who_is_judged_are_refused_by_the_pictures_dataset(
    segmenter, tmp_path, monkeypatch, capsys
):
    opened = open_segmenter(segmenter)
    patients = [p for part in opened.manifest.parts.values() for p in part.patients]
    entry = training_data(
        "lesion_phantom",
        opened.manifest.built["options"],
        opened.manifest.data_hash,
        patients,
    )
    start = Start("a run on the whole pictures", {}, {"trained_on": [entry]})
    monkeypatch.setattr(pretrained, "named_start", lambda config, say: start)
    code = tiny.stages(segmenter, tmp_path / "two", "--set", "init_from=run")
    assert "has trained on 8 of the 8 test patients" in refused(capsys, code)


def test_strict_masks_take_four_folds(segmenter, tmp_path, capsys):
    code = tiny.stages(segmenter, tmp_path / "two", "--strict")
    assert "--strict takes 4 folds or more" in refused(capsys, code)


@pytest.mark.slow  # radiomics twice
def test_radiomics_of_true_and_found_masks_are_in_the_same_folds(segmenter, tmp_path):
    folder = tmp_path / "two"
    kinds = ("--kinds", "whole", "radiomics_true", "radiomics_found", "--trials", "0")
    assert tiny.stages(segmenter, folder, *kinds) == 0
    tree = told(folder)
    assert tree["cases_compared"] == CASES
    first = held_out(segmenter)
    for name in ("radiomics_true", "radiomics_found"):
        table = Predictions.read(folder / name / "predictions.csv")
        pairs = zip(table.example_id, table.fold.tolist(), strict=True)
        assert all(first[n] == fold for n, fold in pairs)
        assert tree["variants"][name]["unmeasured"] > 0
    assert tree["variants"]["radiomics_true"]["unmeasured"] >= 8  # the normal ones


@pytest.mark.slow  # six segmentations more
def test_strict_masks_are_of_networks_that_saw_nothing_of_the_judged_fold(
    tmp_path,
):
    segmenter = tiny.segmented(tmp_path, folds=4)
    folder = tmp_path / "two"
    config = f"--classifier-config={segmenter.parent / 'classifier.py'}:4"
    more = (config, "--strict", "--kinds", "roi", *MARGINS)
    assert tiny.stages(segmenter, folder, *more) == 0
    held = held_out(segmenter)
    for outer in range(4):
        run = folder / f"roi_m25/fold_{outer}"
        assert settings.read(run).data.options.outer == outer
        for example, fold in held.items():
            used = read_grey(folder / f"cases/found_{outer}/{file_of(example)}") > 0
            if fold == outer:
                own = segmenter / f"fold_{fold}/masks/{file_of(example)}"
            else:
                j, k = sorted((fold, outer))
                place = folder / f"nested/{j}_{k}"
                parts = Manifest.read(place / "splits.json").parts
                seen = {e for n, p in parts.items() if n != "test" for e in p.examples}
                assert not seen & {e for e, f in held.items() if f in (j, k)}
                own = place / f"masks/{file_of(example)}"
            assert np.array_equal(read_grey(own) > 0, used)
    assert told(folder)["asked"]["strict"]
    before = (folder / "roi_m25/predictions.csv").read_bytes()
    assert tiny.stages(segmenter, folder, *more) == 0
    assert (folder / "roi_m25/predictions.csv").read_bytes() == before


def test_pictures_may_have_more_detail_than_the_segmenter_saw(segmenter, tmp_path):
    opened = open_segmenter(segmenter)
    asked_for = asked.Asked(pixels=64)
    cases = open_cases(opened, asked_for, opened.config.data, lambda line: None)
    assert write_cases(cases, tmp_path) == 64
    for example in cases.names:
        assert read_grey(tmp_path / f"pictures/{file_of(example)}").shape == (64, 64)
        large = read_grey(tmp_path / f"found/{file_of(example)}") > 0
        small = opened.mask(example) > 0
        assert np.array_equal(large, small.repeat(2, axis=0).repeat(2, axis=1))


def test_the_front_says_what_is_wrong_in_one_line(tmp_path, capsys):
    words = ["--segmenter", str(tmp_path), "--workdir", str(tmp_path / "two")]
    code = front.main([*words, "--classifier-config", "configs/busi.py"])
    assert "holds no cross-validation" in refused(capsys, code)
    for given, said in (("ten", "invalid"), ("401", "allowed is 0 to 400 percent")):
        with pytest.raises(SystemExit):
            front.main(["--margins", given])
        assert said in capsys.readouterr().err


def test_margins_and_kinds_make_the_runs():
    told = asked.Asked(kinds=("roi", "whole", "radiomics_true"), margins=(0, 10))
    assert told.variants() == {
        "whole": ("whole", 0),
        "roi_m00": ("roi", 0),
        "roi_m10": ("roi", 10),
        "radiomics_true": ("radiomics_true", 0),
    }
