"""What is said of a trained run from its folder alone."""

import json

from tests.tasks.made import clip_spec
from ultrasound_jax.predict.__main__ import main

ABOUT = {
    "format": 1,
    "spec": clip_spec(("a_line", "b_line"), frames=10, side=64).to_json(),
    "classes": ["a_line", "b_line"],
    "task": {"name": "multilabel", "options": {}, "decision": "threshold"},
    "network": {
        "name": "luvnet",
        "options": {"encoder": "resnet18", "heads": 8},
        "outputs": 2,
        "dtype": "float32",
        "remat": False,
    },
    "preprocessing": {"dataset": "lus_clips", "options": {"size": 64}},
    "thresholds": {"clip": {"a_line": 0.25, "b_line": None}},
    "thresholds_from": "validation",
    "made": {"date": "2026-01-02", "commit": "abc", "command": "python -m x"},
}


def test_a_run_is_described_by_its_folder_alone(tmp_path, capsys):
    (tmp_path / "model.json").write_text(json.dumps(ABOUT))
    assert main(["describe", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for words in (
        "network: luvnet with resnet18, 2 outputs, float32",
        "  heads: 8",
        "field clip: pixels, uint8 ? x 64 x 64 x 1, up to 10 long",
        "thresholds of clip: a_line 0.250, b_line none",
        "trained on: lus_clips\n  size: 64",
    ):
        assert words in said


def test_a_folder_without_a_run_is_one_line(tmp_path, capsys):
    assert main(["describe", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "there is no model.json in it" in error and error.count("\n") == 1
    (tmp_path / "model.json").write_text(json.dumps(ABOUT | {"format": 9}))
    assert main(["describe", str(tmp_path)]) == 2
    assert "has the format 9; 1 is known" in capsys.readouterr().err
