"""What a result says about how it was made."""

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
