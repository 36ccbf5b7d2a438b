"""A built set is not taken for what other files would give."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT
from ultrasound_jax.data import source as sources
from ultrasound_jax.datasets.made_from import difference, made_from, paths_in

DUMMY = ROOT / "ultrasound_jax/datasets/busi/dummy_data"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a set of pictures, and where it was built."""
    folder = tmp_path_factory.mktemp("busi")
    shutil.copytree(DUMMY, folder / "files")
    prepare(folder / "files", folder / "built")
    return folder


def prepare(files, data_dir, say=lambda line: None):
    where = {"options": {}, "data_dir": str(data_dir), "manual_dir": str(files)}
    sources.prepare("busi", **where, say=say)


def copied(built, tmp_path):
    return Path(shutil.copytree(built / "files", tmp_path / "files"))


def a_picture(files):
    return sorted(p for p in files.rglob("*.png") if "mask" not in p.name)[0]


def test_the_same_files_elsewhere_are_no_others(built, tmp_path):
    lines = []
    prepare(built / "files", built / "built", lines.append)
    prepare(copied(built, tmp_path), built / "built", lines.append)
    assert lines == []


@pytest.mark.parametrize("change", ["gone", "new", "longer"])
def test_other_files_are_refused_with_what_to_do(built, tmp_path, change):
    files = copied(built, tmp_path)
    one = a_picture(files)
    if change == "gone":
        one.unlink()
    elif change == "new":
        shutil.copy(one, one.with_name("benign (99).png"))
    else:
        one.write_bytes(one.read_bytes() + b"0")
    with pytest.raises(sources.SourceError) as refused:
        prepare(files, built / "built")
    said = str(refused.value)
    for words in ("was built from other files", "delete the folder", "data_dir"):
        assert words in said
    assert "\n" not in said


def test_another_folder_without_the_set_is_refused(built, tmp_path):
    with pytest.raises(sources.SourceError, match="lacks; delete the folder"):
        prepare(tmp_path, built / "built")


def test_files_beside_those_of_the_set_are_nobodys_business(built, tmp_path):
    files = copied(built, tmp_path)
    (files / "other_set").mkdir()
    (files / "other_set" / "scan.png").write_bytes(b"x")
    (files / ".DS_Store").write_bytes(b"x")
    prepare(files, built / "built")


def test_a_set_of_before_says_that_it_cannot_tell(built, tmp_path, monkeypatch):
    from ultrasound_jax.datasets.beam import builder

    monkeypatch.setattr(builder, "MADE_FROM", "not_there")
    lines = []
    prepare(tmp_path, built / "built", lines.append)
    assert "did not keep of which files" in lines[0]


def test_a_mended_label_is_seen_though_the_size_is_the_same(tmp_path):
    sheet = tmp_path / "videos.csv"
    sheet.write_text("a.mp4,1\n")
    kept = made_from(tmp_path, [])
    assert difference(kept, tmp_path) == ""
    sheet.write_text("a.mp4,0\n")
    assert "other files" in difference(kept, tmp_path)


@dataclass(frozen=True)
class Item:
    """What builders list: values that name files."""

    path: Path
    masks: tuple[str, ...]


def test_files_are_found_wherever_an_item_names_them(tmp_path):
    item = Item(tmp_path / "a.png", (str(tmp_path / "b.png"), "benign", "/else/c.png"))
    bound = partial(print, str(tmp_path / "root"), how={"d": [tmp_path / "d.png"]})
    found = {p.name for p in paths_in(([item], bound), tmp_path)}
    assert found == {"a.png", "b.png", "root", "d.png"}
