"""The script that measures what kept memory saves."""

import json

from tests.study.test_committed import script

KEPT = script("kept_memory")


def test_the_ways_take_turns_and_the_medians_are_written(tmp_path, monkeypatch):
    turns = []

    def one(config, way, repeats):
        turns.append(way)
        speed = {"kept": 30.0, "given_back": 20.0}[way] + len(turns)
        return {"train": speed, "eval": 2 * speed}

    monkeypatch.setattr(KEPT, "one", one)
    out = tmp_path / "kept.json"
    assert KEPT.main(["--configs", "a.py", "--rounds", "3", "--out", str(out)]) == 0
    assert turns == ["kept", "given_back"] * 3
    found = json.loads(out.read_text())["steps"]["a.py"]
    assert found["train"] == {"kept": 33.0, "given_back": 24.0, "ratio": 33 / 24}
    assert found["eval"]["ratio"] == found["train"]["ratio"]


def test_the_usual_way_is_one_that_the_package_leaves_alone(monkeypatch):
    from ultrasound_jax.runs import kept_memory

    for name, value in KEPT.AS_USUAL.items():
        monkeypatch.setenv(name, value)
    assert not kept_memory.keep_memory()
