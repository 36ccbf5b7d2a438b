"""Mistakes on the command line: one clear line, exit code 2, nothing half-written."""

import json
import subprocess
import sys

import pytest

from tests import command
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (["--config=configs/luvnet.py", "--config.optim.lrr=1"], "did you mean 'lr'"),
        (["--config=configs/luvnet.py", "--config.optim.lr=fast"], "fast"),
        (["--config=configs/luvnet.py:papr"], "'paper'"),
        (["--config=configs/luvnet.py", "--config.augment[0].flip=2"], "from 0 to 1"),
        (["--config=configs/luvnet.py", "--config.augment=none"], "a list in JSON"),
        (
            ["--config=configs/luvnet.py", '--config.augment=[{"name": "flop"}]'],
            "there are brightness, flip_and_rotate",
        ),
        (
            ["--config=configs/luvnet.py", "--config.model.options.depth=3"],
            "'luvnet' has dropout, encoder",
        ),
        (["--config=configs/luvnet.py", "--config.model.name=x3d_s"], "'x3d_s' has"),
        (
            ["--config=configs/luvnet.py", "--config.model.options.dropout=1.5"],
            "config.model.options.dropout=1.5: allowed is 0 or more and below 1",
        ),
        (["--config=configs/_base.py"], "has no get_config"),
        (["--config=configs/luvnet.py", "--mode=test"], "crossval"),
        (["--config=configs/luvnet.py", "--workdirs=x"], "workdir"),
        (["--config=configs/luvnet.py", "lr=3"], "unexpected argument 'lr=3'"),
        ([], "give --config="),
        (["--config=configs/luvnet.py", "--processes=2"], "go together"),
        (["--config=configs/luvnet.py", "--config.data.name=lus"], "lus_phantom"),
        (["--config=configs/luvnet.py", "--config.data.data_dir=README.md"], "README"),
        (["--config=configs/luvnet.py:pocus"], "config.data.manual_dir=DIR"),
        (
            ["--config=configs/luvnet.py", "--config.memory_limit_gb=0.001"],
            "the training step does not fit",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value) or "nothing",
)
def test_a_mistake_is_one_line_and_exit_code_2(mistake, said, data_dir, tmp_path):
    workdir = tmp_path / "run"
    small = [
        a
        for a in command.arguments(workdir, data_dir, "")[1:]
        if a.split("=")[0] not in {m.split("=")[0] for m in mistake}
    ]
    if any("pocus" in m for m in mistake) or not mistake:
        small = [f"--config.data.data_dir={data_dir}", f"--workdir={workdir}"]
    if not mistake:
        small = []
    code, _, err = command.run(*mistake, *small)
    assert code == 2
    assert err.strip().splitlines()[-1].startswith("error: ")
    assert said in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert not workdir.exists()


def test_a_folder_of_another_run_is_refused(data_dir, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"seed": 5}))
    code, _, err = command.run(*command.arguments(tmp_path, data_dir, ""))
    assert code == 2
    assert "holds a run with other settings" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json"]


def test_evaluating_a_folder_without_a_run_is_refused(tmp_path):
    code, _, err = command.run("--mode=evaluate", f"--workdir={tmp_path}")
    assert code == 2
    assert "holds no run" in err


def test_the_installed_command_is_the_program():
    code = "from ultrasound_jax.main import cli; cli()"
    words = [sys.executable, "-c", code, "--config=configs/luvnet.py:papr"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and "'paper'" in ended.stderr


def test_help_and_a_wrong_variant_do_not_wait_for_jax():
    code = (
        "import atexit, sys\n"
        "heavy = {'jax', 'numpy'}\n"
        "atexit.register(lambda: print(not heavy.isdisjoint(sys.modules)))\n"
        "from ultrasound_jax.main import cli; cli()"
    )
    for words in (["--help"], ["--config=configs/luvnet.py:papr"]):
        ended = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert "--mode" in ended.stdout or "'paper'" in ended.stderr
        assert ended.stdout.splitlines()[-1] == "False"


def test_a_word_comes_before_whatever_takes_seconds(data_dir, tmp_path):
    arguments = command.arguments(tmp_path / "run", data_dir, "")
    code, out, err = command.run(*arguments, "--config.memory_limit_gb=0.001")
    assert code == 2, err
    words = ["importing JAX", "opening the dataset", "making the network", "compiling"]
    places = [out.index(word) for word in words]
    assert places == sorted(places)
