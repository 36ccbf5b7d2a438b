"""What a result says about how it was made."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from ultrasound_jax.runs import provenance


@pytest.mark.parametrize(
    ("program", "words", "said"),
    [
        (ROOT / "experiments/study.py", ["--tune", "3"], "experiments/study.py --tune"),
        ("/home/jane/own.py", ["--out=/home/jane/x"], "own.py --out=…/x"),
    ],
)
def test_a_script_is_called_as_from_the_projects_folder(
    program, words, said, monkeypatch
):
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=None))
    monkeypatch.setattr(sys, "argv", [str(program), *words])
    command = provenance.command()
    # The shell's quotes around `…` are none of this test's business.
    assert command.replace("'", "").startswith(f"python {said}")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project under Git with a committed file, whose commit is asked for."""
    for name in ("ultrasound_jax/runs/provenance.py", "configs/a.py", "notes.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one\n")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    place = tmp_path / "ultrasound_jax/runs/provenance.py"
    monkeypatch.setattr(provenance, "__file__", str(place))
    return tmp_path


def test_a_commit_stands_alone_where_all_files_are_its_own(project):
    (project / "sketch.txt").write_text("of nobody's concern\n")
    assert not provenance.commit().endswith("+")


@pytest.mark.parametrize(
    "name",
    ["notes.md", "configs/mine.py", "ultrasound_jax/datasets/mine/mine.py"],
)
def test_a_changed_file_and_an_unknown_dataset_or_configuration_mark_it(project, name):
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("two\n")
    assert provenance.commit().endswith("+")
