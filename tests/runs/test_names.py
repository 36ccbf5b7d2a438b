"""Two names never become one file."""

import pytest

from ultrasound_jax.runs.names import file_name


@pytest.mark.parametrize("name", ["luvnet", "fold_0", "P0123456789_00012", "a.b-c"])
def test_a_name_that_files_can_have_is_kept(name):
    assert file_name(name) == name


def test_different_names_are_different_files():
    names = [
        "患者1",
        "病人1",
        "1",
        "_1",
        "a/b",
        "a b",
        "a_b",
        "a\\b",
        "",
        ".",
        "..",
        "a.",
    ]
    names += ["x" * 300, "x" * 301, "con", "con.txt", "\udcfc", "a=b", "a:b"]
    found = [file_name(name) for name in [*names, *map(file_name, names)]]
    kept = {name for name in names if file_name(name) == name}
    assert kept == {"1", "_1", "a_b"}
    assert len(set(found)) == len({*names, *map(file_name, names)})


def test_a_made_name_can_be_a_file_anywhere(tmp_path):
    for name in ("患者1", "x" * 300, "..", "a/b", "nul"):
        (tmp_path / f"{file_name(name)}.json").write_text(name)
    assert len(list(tmp_path.iterdir())) == 5
