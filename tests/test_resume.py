"""Kill it anywhere, run it again: nothing is lost, nothing differs."""

import json
import signal

import pytest

from tests import command

STEPS_LATE = 12  # of about 24


@pytest.fixture(scope="module")
def places(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    return lambda name: (folder / name, data_dir, folder / "cache")


@pytest.fixture(scope="module")
def unbroken(places):
    workdir, *rest = places("unbroken")
    code, out, err = command.run(*command.arguments(workdir, *rest))
    assert code == 0, err
    assert "continuing" not in out
    return workdir


def checksums(workdir):
    """Checksums of every array of the last state: parameters, statistics, optimiser."""
    latest = max(
        (workdir / "checkpoints/latest").glob("[0-9]*"), key=lambda p: int(p.name)
    )
    host = json.loads((latest / "host/metadata").read_text())
    return latest.name, host["checksums"]


def assert_same(workdir, unbroken):
    assert checksums(workdir) == checksums(unbroken)
    for name in ("predictions.csv", "scalars.csv", "splits.json", "config.json"):
        assert (workdir / name).read_bytes() == (unbroken / name).read_bytes(), name
    # Another day, another duration: everything else of the metrics is the same.
    ours, theirs = (
        json.loads((w / "metrics.json").read_text()) for w in (workdir, unbroken)
    )
    assert {k: v for k, v in ours.items() if k != "run"} == {
        k: v for k, v in theirs.items() if k != "run"
    }


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, -signal.SIGKILL),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGINT, 128 + signal.SIGINT),
    ],
    ids=["SIGKILL", "SIGTERM", "Ctrl-C"],
)
def test_a_stopped_run_ends_where_an_unbroken_one_does(places, unbroken, number, code):
    workdir, *rest = places(f"stopped_{int(number)}")
    arguments = command.arguments(workdir, *rest)
    process = command.start(*arguments)
    command.wait_for_step(process, workdir, STEPS_LATE)
    process.send_signal(number)
    returned, out, err = command.finish(process)
    assert returned == code, err
    if number != signal.SIGKILL:
        assert f"{signal.Signals(number).name}: saved step" in out
    assert not (workdir / "metrics.json").exists()
    returned, out, err = command.run(*arguments)
    assert returned == 0, err
    assert "continuing from step" in out
    assert_same(workdir, unbroken)


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_used(
    places, unbroken
):
    workdir, *rest = places("damaged")
    arguments = command.arguments(workdir, *rest)
    process = command.start(*arguments)
    command.wait_for_step(process, workdir, STEPS_LATE)
    process.send_signal(signal.SIGTERM)
    command.finish(process)
    step, _ = checksums(workdir)
    for path in (workdir / "checkpoints/latest" / step / "arrays").rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, out, err = command.run(*arguments)
    assert code == 0, err
    assert f"checkpoints/latest/{step} is damaged" in out
    assert (workdir / f"checkpoints/damaged-latest-{step}").is_dir()
    assert_same(workdir, unbroken)


def test_a_finished_run_is_only_judged_again(places, unbroken):
    _, *rest = places("unbroken")
    before = (unbroken / "predictions.csv").read_bytes()
    code, out, err = command.run(*command.arguments(unbroken, *rest))
    assert code == 0, err
    assert "step 1/" not in out
    assert (unbroken / "predictions.csv").read_bytes() == before


def test_evaluation_of_a_run_repeats_its_numbers(places, unbroken):
    metrics = json.loads((unbroken / "metrics.json").read_text())
    code, out, err = command.run(f"--workdir={unbroken}", "--mode=evaluate")
    assert code == 0, err
    again = json.loads((unbroken / "metrics.json").read_text())
    assert again["test"] == metrics["test"]
    assert "macro AUROC" in out
