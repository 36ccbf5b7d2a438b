"""A built dataset whose files were changed is refused, or made whole and said."""

import os
import shutil

import numpy as np
import pytest

from tests.conftest import TINY
from ultrasound_jax.data import seal
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.seal import SEAL_FILE
from ultrasound_jax.data.table_file import TABLE_FILE
from ultrasound_jax.types import UltrasoundError

SHARD = "*.array_record-*"


@pytest.fixture(scope="module")
def built(data_dir):
    where = {"options": TINY, "data_dir": str(data_dir)}
    sources.prepare("lus_phantom", **where, say=lambda line: None)
    sources.open_source("lus_phantom", **where)
    return data_dir


@pytest.fixture
def copied(built, tmp_path):
    """A copy, as one moves a dataset to another machine, and its innermost folder."""
    shutil.copytree(built / "lus_phantom", tmp_path / "lus_phantom")
    source = sources.open_source("lus_phantom", options=TINY, data_dir=str(built))
    folder = next(tmp_path.rglob(f"{source.name.split('/')[1]}/*/{TABLE_FILE}")).parent
    return tmp_path, folder


def opened(root):
    return sources.open_source("lus_phantom", options=TINY, data_dir=str(root))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def edited(change):
    def edit(folder):
        path = folder / TABLE_FILE
        first, *rows = path.read_text().splitlines()
        path.write_text("\n".join([first, *change(rows)]) + "\n")

    return edit


def other_label(rows):
    *cells, last = rows[0].split(",")
    return [",".join([*cells, str(1 - int(last))]), *rows[1:]]


TABLES = {
    "a flipped label": edited(other_label),
    "reversed rows": edited(lambda rows: rows[::-1]),
    "a renamed patient": edited(
        lambda rows: [rows[0].replace("P0", "P9", 2), *rows[1:]]
    ),
    "another hash": lambda f: flip(f / TABLE_FILE, 3),
    "a word for a number": edited(lambda rows: [rows[0][:-1] + "x", *rows[1:]]),
    "no text": lambda f: (f / TABLE_FILE).write_bytes(b"\xff\xfe\x00"),
    "empty": lambda f: (f / TABLE_FILE).write_text(""),
    "cut": lambda f: (f / TABLE_FILE).write_text((f / TABLE_FILE).read_text()[:200]),
    "gone": lambda f: (f / TABLE_FILE).unlink(),
    "without a seal": lambda f: (f / SEAL_FILE).unlink(),
    "a seal of nonsense": lambda f: (f / SEAL_FILE).write_text("[" * 100_000),
    "an empty seal": lambda f: (f / SEAL_FILE).write_text("{}"),
}


@pytest.mark.parametrize("edit", TABLES.values(), ids=TABLES)
def test_an_edited_table_is_made_anew_from_the_records(built, copied, edit, capsys):
    root, folder = copied
    whole, sealed = (folder / TABLE_FILE).read_bytes(), (folder / SEAL_FILE).exists()
    edit(folder)
    table = opened(root).table
    assert (folder / TABLE_FILE).read_bytes() == whole
    assert table.data_hash == opened(built).table.data_hash
    np.testing.assert_array_equal(table.labels, opened(built).table.labels)
    assert sealed and (folder / SEAL_FILE).exists()
    capsys.readouterr()
    opened(root)
    assert not capsys.readouterr().out


def test_of_an_edit_it_is_said_where_labels_are_corrected(copied, capsys):
    root, folder = copied
    TABLES["a flipped label"](folder)
    opened(root)
    assert f"{folder / TABLE_FILE} is not what was written" in capsys.readouterr().out


def other_classes(folder):
    path = folder / "metadata.json"
    text = path.read_text()
    path.write_text(text.replace("a_line", "x").replace("b_line", "a_line"))


def into_folder(path):
    path.unlink()
    path.mkdir()


def shard(folder):
    return next(folder.glob(SHARD))


FILES = {
    "class names in another order": ("metadata.json", other_classes),
    "metadata gone": ("metadata.json", lambda f: (f / "metadata.json").unlink()),
    "metadata empty": ("metadata.json", lambda f: (f / "metadata.json").write_text("")),
    "metadata nested": (
        "metadata.json",
        lambda f: (f / "metadata.json").write_text("[" * 100_000),
    ),
    "metadata of a number": (
        "metadata.json",
        lambda f: (f / "metadata.json").write_text('{"classes": 5}'),
    ),
    "features cut": ("features.json", lambda f: (f / "features.json").write_text("{")),
    "info cut": (
        "dataset_info.json",
        lambda f: (f / "dataset_info.json").write_text("{"),
    ),
    "shard gone": ("array_record", lambda f: shard(f).unlink()),
    "shard empty": ("array_record", lambda f: shard(f).write_bytes(b"")),
    "shard cut": (
        "array_record",
        lambda f: shard(f).write_bytes(shard(f).read_bytes()[:100_000]),
    ),
    "shard flipped": ("array_record", lambda f: flip(shard(f), 1000)),
    "shard a folder": ("array_record", lambda f: into_folder(shard(f))),
    "shard more": (
        "array_record",
        lambda f: shutil.copy(shard(f), f / "x.array_record-00001-of-00002"),
    ),
}


@pytest.mark.parametrize(("name", "edit"), FILES.values(), ids=FILES)
def test_a_changed_file_of_a_dataset_is_refused_by_name(copied, name, edit):
    root, folder = copied
    edit(folder)
    with pytest.raises(UltrasoundError, match=name) as refused:
        opened(root)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize("place", [70, 1000, 100_000])
def test_a_bit_that_flips_later_is_found_where_it_is_read(copied, place):
    root, folder = copied
    source = opened(root)
    path = shard(folder)
    about = path.stat()
    flip(path, place)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(UltrasoundError, match="array_record.* is damaged"):
        opened(root).load(range(len(source)))


def test_a_dataset_moved_elsewhere_is_hashed_once_and_then_believed(
    copied, monkeypatch
):
    root, folder = copied
    for path in seal.own_files(folder):
        os.utime(path)
    hashed = []
    digest = seal.digest_of
    monkeypatch.setattr(seal, "digest_of", lambda p: hashed.append(p) or digest(p))
    opened(root)
    assert len(hashed) == len(seal.own_files(folder))
    opened(root)
    assert len(hashed) == len(seal.own_files(folder))


def test_the_same_files_built_again_have_the_same_hash(built, tmp_path):
    where = {"options": TINY, "data_dir": str(tmp_path)}
    sources.prepare("lus_phantom", **where, say=lambda line: None)
    again = sources.open_source("lus_phantom", **where)
    first = opened(built)
    assert again.table.data_hash == first.table.data_hash
    assert again.table.example_id == first.table.example_id
