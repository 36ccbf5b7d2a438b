"""Runs as the command line names them, and its verbs."""

import importlib.util
import json

import numpy as np
import pytest

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis import __main__ as command
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.inputs import (
    make_folder,
    open_run,
    open_runs,
)
from ultrasound_jax.types import InputError


@pytest.fixture
def folder(tmp_path):
    """Two runs of one name in different folders, as a table and a config each."""
    table = simulate(np.random.default_rng(0), 3)
    for study in ("first", "second"):
        run = tmp_path / study / "luvnet"
        run.mkdir(parents=True)
        table.write(run / "predictions.csv")
        (run / "config.json").write_text(json.dumps({"seed": 7}))
    return tmp_path


def test_a_folder_and_its_table_are_the_same_run(folder):
    by_folder = open_run(folder / "first/luvnet")
    by_table = open_run(folder / "first/luvnet/predictions.csv")
    assert by_folder.name == by_table.name == "luvnet"
    assert by_folder.folder == by_table.folder == folder / "first/luvnet"
    assert by_folder.read_json("config.json") == {"seed": 7}
    assert by_folder.read_json("cost.json") is None


def test_a_table_alone_is_named_after_its_file_and_has_no_folder(folder):
    table = folder / "mine.csv"
    (folder / "first/luvnet/predictions.csv").rename(table)
    run = open_run(table)
    assert (run.name, run.folder, run.read_json("config.json")) == ("mine", None, None)


def test_a_name_can_be_given(folder):
    path = folder / "first/luvnet"
    assert open_run(f"LUV-Net={path}").name == "LUV-Net"
    names = [r.name for r in open_runs([f"a={path}", f"b={path}"])]
    assert names == ["a", "b"]


def test_equal_names_get_as_much_of_their_path_as_tells_them_apart(folder):
    runs = open_runs([folder / "first/luvnet", folder / "second/luvnet"])
    assert [run.name for run in runs] == ["first/luvnet", "second/luvnet"]


def test_a_fold_is_named_with_its_study(folder):
    (folder / "first/luvnet").rename(folder / "first/fold_3")
    assert open_run(folder / "first/fold_3").name == "first/fold_3"


@pytest.mark.parametrize("name", ["", "a="])
def test_the_same_run_twice_is_refused(folder, name):
    path = f"{name}{folder / 'first/luvnet'}"
    with pytest.raises(AnalysisError, match="is given twice"):
        open_runs([path, path])


def test_what_is_not_there_or_broken_is_named(folder):
    with pytest.raises(AnalysisError, match="nowhere: no such run; allowed is a run's"):
        open_run(folder / "nowhere")
    (folder / "first/luvnet/config.json").write_text("{")
    with pytest.raises(InputError, match="config.json: cannot be read"):
        open_run(folder / "first/luvnet").read_json("config.json")
    with pytest.raises(AnalysisError, match="cannot be made"):
        make_folder(folder / "first/luvnet/config.json/out")


def test_a_folder_where_a_file_should_be_is_refused_and_not_overlooked(folder):
    (folder / "first/luvnet/metrics.json").mkdir()
    with pytest.raises(InputError, match=r"metrics.json: cannot be read"):
        open_run(folder / "first/luvnet").read_json("metrics.json")


def test_every_verb_says_what_it_does():
    for module, text in command.VERBS.values():
        assert importlib.util.find_spec(module) and text, module


def test_an_unknown_verb_is_refused_in_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["juggle"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "juggle" in error and "compare" in error
