"""How commands end."""

import os
import signal

import pytest

from ultrasound_jax.runs import cli
from ultrasound_jax.types import UltrasoundError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_line_and_its_exit_code(number, capsys):
    before = signal.getsignal(number)
    code = cli.guard("study", lambda prompt: os.kill(os.getpid(), number))
    assert code == 128 + number
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"study: {signal.Signals(number).name}: ")
    assert signal.getsignal(number) is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_swallows_is_still_known():
    seen = []

    def work(prompt):
        class Swallows:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)

        made = [Swallows()]
        made.clear()
        seen.append(prompt.received())

    cli.guard("study", work)
    assert seen == [signal.SIGINT]


def test_an_error_of_ours_is_one_line_and_two(capsys):
    def work(prompt):
        raise UltrasoundError("no such\n file")

    assert cli.guard("study", work) == 2
    assert capsys.readouterr().err == "study: no such file\n"
    assert cli.guard("study", lambda prompt: None) == 0
