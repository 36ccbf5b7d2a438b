"""The verb `cam` as a user types it, on an untrained run of the small phantom."""

import csv
import html
import json

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.explain.untrained import leave, opened_on_one_device
from ultrasound_jax import config as settings
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, NULLS

SIDE, PATIENTS = 48, 36


@pytest.fixture(scope="module")
def opened(data_dir):
    """The phantom and a network that has learnt nothing."""
    config = settings.load(f"{ROOT}/configs/resnet_attention.py")
    config.data.data_dir = str(data_dir)
    options = config.data.options
    options.size, options.patients, options.images = SIDE, PATIENTS, 1
    config.data.folds = 3
    config.model.options.width = 4
    yield from opened_on_one_device(config)


@pytest.fixture(scope="module")
def run(opened, tmp_path_factory):
    """What a run leaves, without its training."""
    folder = tmp_path_factory.mktemp("runs") / "untrained"
    return leave(opened, folder, score=1 / 3)


@pytest.fixture(scope="module")
def judged(run, tmp_path_factory):
    """The training patients' images, whom an untrained network has not seen either."""
    out = tmp_path_factory.mktemp("judged")
    words = ["cam", str(run), "--out", str(out), "--split", "train", "--class", "true"]
    assert main([*words, "--examples", "2"]) == 0
    return out / "untrained"


def table_of(folder):
    with (folder / "cam.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_untrained_network_is_no_better_than_chance(judged):
    tree = json.loads((judged / "cam.json").read_text())
    found = tree["all"]
    assert found["better"] is False and "no better than chance" in found["verdict"]
    assert all(test["p"] is not None for test in found["tests"])
    assert (tree["method"], tree["stage"]) == ("exact", None)
    assert found["verdict"] in (judged / "cam.md").read_text()
    assert html.escape(found["verdict"]) in (judged / "cam.html").read_text()
    for picture in ("overlays.png", "nulls.png"):
        assert cv2.imread(str(judged / picture)) is not None


def test_every_lesion_is_a_row_and_every_normal_breast_is_left_out(judged, opened):
    rows, tree = table_of(judged), json.loads((judged / "cam.json").read_text())
    train = opened.indices["train"]
    ids = [opened.source.table.example_id[i] for i in train]
    assert {row["example_id"] for row in rows} | set(tree["left_out"]) == set(ids)
    assert set(tree["left_out"].values()) == {"nothing marked"}
    assert {row["class"] for row in rows} == {"benign", "malignant"}
    assert all(row["map_of"] == row["class"] for row in rows)
    assert set(tree["by_class"]) == {"benign", "malignant"}
    counts = [tree["by_class"][name]["n"]["examples"] for name in tree["by_class"]]
    assert sum(counts) == len(rows) == tree["all"]["n"]["examples"]


def test_the_table_has_what_the_means_are_of(judged):
    rows, tree = table_of(judged), json.loads((judged / "cam.json").read_text())["all"]
    for measure in MEASURES:
        mean = np.mean([float(row[measure]) for row in rows])
        assert mean == pytest.approx(tree["measures"][measure]["mean"], abs=1e-5)
        for null in NULLS:
            mean = np.mean([float(row[f"{measure}_{null}"]) for row in rows])
            wanted = tree["nulls"][null][measure]["mean"]
            assert mean == pytest.approx(wanted, abs=1e-5)


def test_physicians_regions_of_a_folder_are_judged_by_gradients(run, opened, tmp_path):
    masks, table = tmp_path / "masks", opened.source.table
    masks.mkdir()
    train = opened.indices["train"]
    for place in train[:-1]:
        region = np.zeros((SIDE, SIDE), np.uint8)
        region[10:20, 10:30] = 255
        cv2.imwrite(str(masks / f"{table.example_id[place]}.png"), region)
    words = ["cam", str(run), "--out", str(tmp_path), "--masks", str(masks)]
    assert main([*words, "--split", "train", "--stage", "2"]) == 0
    tree = json.loads((tmp_path / "untrained/cam.json").read_text())
    assert (tree["method"], tree["stage"], tree["cells"]) == ("gradcam", 2, [6, 6])
    assert tree["all"]["n"]["examples"] == len(train) - 1
    missing = table.example_id[train[-1]]
    assert tree["left_out"] == {missing: "no file of its name"}
    # All regions are one, so that another's is as good a guess.
    null = tree["all"]["nulls"]["other_region"]["iou"]["mean"]
    assert null == pytest.approx(tree["all"]["measures"]["iou"]["mean"], rel=1e-5)
    page = (tmp_path / "untrained/cam.md").read_text()
    assert f"no file of its name: {missing} (1 in all)" in page


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--class", "lipoma"], "'lipoma': allowed are predicted, true, benign"),
        (["--stage", "7"], "1: 12 x 12, 2: 6 x 6, 3: 3 x 3, 4: 2 x 2"),
        (["--stage", "1", "--method", "exact"], "exact maps are of all levels"),
        (["--masks", "nowhere"], "nowhere: no such folder"),
        (["--examples", "0"], "--examples 0: allowed is 1 or more"),
        (["--seed", "-1"], "--seed -1: allowed is 0 or more"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(more, said, run, tmp_path, capsys):
    assert main(["cam", str(run), "--out", str(tmp_path / "out"), *more]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
    assert not (tmp_path / "out").exists()


def test_a_table_alone_has_nothing_to_look_into(run, tmp_path, capsys):
    table = tmp_path / "alone.csv"
    table.write_bytes((run / "predictions.csv").read_bytes())
    assert main(["cam", str(table), "--out", str(tmp_path)]) == 2
    assert "a table alone has no network" in capsys.readouterr().err
