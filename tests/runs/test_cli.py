"""How commands end."""

import os
import signal

import pytest

from ultrasound_jax.analysis import __main__ as analysis
from ultrasound_jax.analysis.commands import metrics
from ultrasound_jax.data.audit import command as audit
from ultrasound_jax.datasets.lus_phantom import export
from ultrasound_jax.dicom import __main__ as dicom
from ultrasound_jax.dicom.commands import index
from ultrasound_jax.runs import cli
from ultrasound_jax.study import benchmark
from ultrasound_jax.types import UltrasoundError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_line_and_its_exit_code(number, capsys):
    before = signal.getsignal(number)
    code = cli.guard(lambda prompt: os.kill(os.getpid(), number))
    assert code == 128 + number
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"{signal.Signals(number).name}: ")
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

    cli.guard(work)
    assert seen == [signal.SIGINT]


def test_an_error_of_ours_is_one_line_and_two(capsys):
    def work(prompt):
        raise UltrasoundError("no such\n file")

    assert cli.guard(work) == 2
    assert capsys.readouterr().err == "error: no such file\n"
    assert cli.guard(lambda prompt: None) == 0


COMMANDS = {
    "analysis": (analysis.main, ["metrics", "run", "--out", "x"], metrics, "run"),
    "dicom": (dicom.main, ["index", "root", "--out", "x.csv"], index, "run"),
    "audit": (audit.main, ["lus_phantom"], audit, "_run"),
    "benchmark": (benchmark.main, ["ingest"], benchmark, "measure"),
    "export": (export.main, ["--out", "x"], export, "export"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_command_shows_a_traceback_for_a_signal(name, number, monkeypatch, capsys):
    main, words, module, work = COMMANDS[name]
    monkeypatch.setattr(module, work, lambda *_, **__: os.kill(os.getpid(), number))
    assert main(words) == 128 + number
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(signal.Signals(number).name)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_word_is_one_line_for_every_command(name, capsys):
    main, words, *_ = COMMANDS[name]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--no-such-option"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "--no-such-option" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_cannot_be_had_is_one_line(name, monkeypatch, capsys):
    def work(*_, **__):
        raise PermissionError(13, "Permission denied", "there/file")

    main, words, module, where = COMMANDS[name]
    monkeypatch.setattr(module, where, work)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said == "error: [Errno 13] Permission denied: 'there/file'\n"
