"""The two verbs as a user types them, on an untrained run of the tiny phantom."""

import json

import pytest

from tests.conftest import ROOT, shrink
from tests.explain.untrained import leave, opened_on_one_device
from ultrasound_jax import config as settings
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.table.predictions import Predictions


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
    """What a run leaves, without its training."""
    config = settings.load(str(ROOT / "configs/luvnet.py"))
    shrink(config, data_dir)
    for opened in opened_on_one_device(config):
        yield leave(opened, tmp_path_factory.mktemp("runs") / "tiny", score=0.5)


def video_of(run):
    return Predictions.read(run / "predictions.csv").video_id[0]


def test_attention_of_a_run_is_written_for_the_chosen_pattern(run, tmp_path, capsys):
    video = video_of(run)
    words = ["attention", str(run), "--video", video, "--pattern", "a_line"]
    assert main([*words, "--no-videos", "--top", "2", "--out", str(tmp_path)]) == 0
    folder = tmp_path / "tiny" / video
    said = capsys.readouterr().out
    assert f"written to {folder}" in said
    assert "too coarse to show where in the picture" in said
    about = json.loads((folder / "about.json").read_text())
    assert (about["curves"], about["maps"]) == ("attention", "Grad-CAM")
    assert about["maps_show_where"] is False
    assert (folder / "attention.svg").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--video", "nobody"], "no such video; of the test split are"),
        (["--video", "VIDEO", "--pattern", "z_line"], "'z_line': there are a_line"),
        (["--video", "VIDEO", "--top", "0"], "--top 0: allowed is 1 or more"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(more, said, run, tmp_path, capsys):
    more = [video_of(run) if word == "VIDEO" else word for word in more]
    assert main(["attention", str(run), "--out", str(tmp_path), *more]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_a_table_alone_has_nothing_to_look_into(run, tmp_path, capsys):
    table = tmp_path / "alone.csv"
    table.write_bytes((run / "predictions.csv").read_bytes())
    words = ["attention", str(table), "--video", "x", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "a table alone has no network" in capsys.readouterr().err


def test_a_cross_validation_asks_for_one_of_its_folds(run, tmp_path, capsys):
    (tmp_path / "fold_0" / "checkpoints").mkdir(parents=True)
    for name in ("predictions.csv", "config.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    words = ["attention", str(tmp_path), "--video", "x", "--out", str(tmp_path / "o")]
    assert main(words) == 2
    assert "one of its folds" in capsys.readouterr().err


def test_cost_of_a_run_and_of_a_name(run, tmp_path, capsys):
    quick = ["--repeats", "2", "--warm-up", "1", "--out", str(tmp_path)]
    assert main(["cost", str(run), "--batch", "1", "2", *quick]) == 0
    rows = json.loads((tmp_path / "cost.json").read_text())
    assert [row["batch"] for row in rows] == [1, 2]
    assert rows[0]["clip"] == "5x32x32x1"
    # The constant image of the grey offset is convolved once a batch.
    assert rows[1]["macs"] == pytest.approx(2 * rows[0]["macs"], rel=0.02)
    assert "GMACs" in (tmp_path / "cost.md").read_text()
    small = ["--encoder", "resnet18", "--width", "8", "--clip", "4", "32", "32"]
    assert main(["cost", "--model", "frame_vote", *small, *quick]) == 0
    assert "frame_vote resnet18" in (tmp_path / "cost.md").read_text()
    small = ["--encoder", "resnet18", "--width", "4", "--image", "32", "48"]
    assert main(["cost", "--model", "image_classifier", *small, *quick]) == 0
    assert "32x48x1" in (tmp_path / "cost.md").read_text()
    assert "written to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of: runs, --config FILE, --model NAME"),
        (["--model", "luv"], "'luv': allowed are"),
        (["--model", "luvnet", "--batch", "0"], "--batch 0: allowed is 1 or more"),
        (["--model", "unet", "--image", "0", "8"], "--image 0: allowed is 1 or more"),
        (["--model", "luvnet", "--repeats", "0"], "--repeats 0: allowed is 1 or more"),
        (["--model", "luvnet", "--precision", "int4"], "int4"),
        (["--model", "luvnet", "--encoder", "vgg"], "vgg"),
        (["--config", "configs/none.py"], "configs/none.py"),
    ],
)
def test_a_mistake_about_cost_is_one_line(words, said, tmp_path, capsys):
    assert main(["cost", *words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()
