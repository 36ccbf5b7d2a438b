"""The script for a day with a GPU, shrunk."""

import json

import pytest

from tests.study.test_committed import script


@pytest.fixture
def check():
    return script("gpu_check")


def run(check, out, *arguments):
    code = check.main([f"--out={out}", "--size=tiny", *arguments])
    return code, json.loads(out.read_text())["parts"]


def pieces_of(calls, broken):
    """Two pieces a part, of which one may break."""

    def of(part):
        def pieces(given):
            for name in ("a", "b"):

                def piece(ends, name=name):
                    calls.append((part, name))
                    if (part, name) in broken:
                        raise RuntimeError("out of memory")
                    return {"found": 1}

                yield name, piece

        return pieces

    return of


def test_a_failure_is_recorded_ends_nothing_and_is_tried_again(
    check, tmp_path, monkeypatch
):
    calls, broken, out = [], {("compile", "a")}, tmp_path / "check.json"
    of = pieces_of(calls, broken)
    monkeypatch.setattr(check, "PIECES", {part: of(part) for part in check.PIECES})
    monkeypatch.setattr(check.provenance, "commit", lambda: "c0ffee")
    code, parts = run(check, out)
    assert code == 1 and len(calls) == 2 * len(check.SHARES)
    assert "out of memory" in parts["compile"]["a"]["failed"]
    assert {p["b"]["found"] for p in parts.values()} == {1}
    calls.clear(), broken.clear()
    code, parts = run(check, out)
    assert code == 0 and calls == [("compile", "a")]
    assert parts["compile"]["a"]["found"] == 1


def test_no_piece_begins_after_its_time_and_the_file_says_so(
    check, tmp_path, monkeypatch
):
    calls, out = [], tmp_path / "check.json"
    of = pieces_of(calls, set())
    monkeypatch.setattr(check, "PIECES", {part: of(part) for part in check.PIECES})
    _, parts = run(check, out, "--minutes=0")
    assert calls == []
    assert parts["train"]["b"] == {"left_out": "no time was left"}


def test_another_commits_file_is_begun_anew(check, tmp_path, monkeypatch):
    calls, out = [], tmp_path / "check.json"
    of = pieces_of(calls, set())
    monkeypatch.setattr(check, "PIECES", {part: of(part) for part in check.PIECES})
    for commit in ("one", "other"):
        monkeypatch.setattr(check.provenance, "commit", lambda c=commit: c)
        run(check, out, "--parts", "feed")
    assert calls == 2 * [("feed", "a"), ("feed", "b")]


def test_logits_of_one_device_agree_with_themselves(check, tmp_path):
    out = tmp_path / "check.json"
    code, parts = run(check, out, "--parts", "agree", "--networks", "frame_vote")
    found = parts["agree"]["frame_vote"]
    assert code == 0 and found["largest_logit"] > 0
    assert found["float32"]["share"] < 1e-5
    # bfloat16 has 8 bits; the network is 18 layers deep.
    assert 0 < found["bfloat16"]["share"] < 0.2


@pytest.mark.slow
def test_all_of_it_runs_shrunk_on_a_cpu(check, tmp_path):
    out = tmp_path / "check.json"
    networks = ("--networks", "frame_vote", "unet")
    _, parts = run(check, out, "--minutes=5", "--repeats=1", *networks)
    for part in ("compile", "agree"):
        assert not any("failed" in found for found in parts[part].values())
    assert parts["feed"]["loop"]["share_waiting_for_data"] >= 0
    assert parts["train"]["luvnet"]["steps"] > 0
