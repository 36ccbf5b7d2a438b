import os

import pytest

from ultrasound_jax.dicom.index.walk import walk
from ultrasound_jax.types import InputError


def test_files_of_any_depth_and_name_are_found_in_order(tmp_path):
    for place in ("b/deep/er/IM 1", "a.dcm", "b/00001", "b.dcm/x"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1234")
    found = walk(tmp_path)
    assert [f.place for f in found] == ["a.dcm", "b.dcm/x", "b/00001", "b/deep/er/IM 1"]
    assert all(f.size == 4 and f.changed > 0 and not f.problem for f in found)


def test_links_are_followed_and_loops_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"1")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "linked").symlink_to("a/file")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    found = {f.place: f.problem for f in walk(tmp_path)}
    assert found.pop("self")
    assert found == {
        "a/file": "",
        "linked": "",
        "broken": "No such file or directory",
    }


def test_a_pipe_is_named_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "cine.dcm")
    assert [f.problem for f in walk(tmp_path)] == ["a pipe, socket or device"]


def test_names_that_are_not_unicode_are_found(tmp_path):
    (tmp_path / "M\udcfcller.dcm").write_bytes(b"")
    assert [f.place for f in walk(tmp_path)] == ["M\udcfcller.dcm"]


def test_a_folder_that_cannot_be_entered_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    real = os.listdir

    def listdir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert [tuple(f) for f in walk(tmp_path)] == [("closed", 0, 0, "Permission denied")]


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        walk(tmp_path / "nowhere")
