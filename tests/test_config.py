import json
import os

import pytest

from tests.conftest import ROOT
from ultrasound_jax import config as settings
from ultrasound_jax import workdir as workdirs

LUVNET = str(ROOT / "configs/luvnet.py")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("optim.name", "lamb", "'adam', 'adamw', 'sgd'"),
        ("optim.lr", 0.0, "above 0"),
        ("data.fold", 5, "below data.folds=5"),
        ("data.test_fraction", 1.0, "from 0 to below 1"),
        ("optim.accumulate", 3, "a divisor of batch_size=8"),
        ("train.epochs", 0, "1 or more"),
        ("seed", 2**32, "32 bits or fewer"),
        ("evaluation.replicates", 199, "200 or more"),
        ("augment[0].flip", 1.5, "from 0 to 1"),
        ("augment[0].degrees", -1.0, "0 or more"),
        ("augment[0].name", "flop", "trivial_augment, or package.module:function"),
        ("dtype", "float16", "'float32', 'bfloat16'"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(key, value, allowed):
    config = settings.load(LUVNET)
    settings.override(config, [f"{key}={value}"])
    with pytest.raises(settings.ConfigError) as refused:
        settings.check(config)
    assert f"config.{key}={value!r}" in str(refused.value)
    assert allowed in str(refused.value)


def test_an_unknown_setting_is_refused_with_its_neighbours():
    arguments = ["main", f"--config={LUVNET}", "--config.optim.lrr=1"]
    with pytest.raises(settings.ConfigError, match="did you mean 'lr'"):
        settings.check_overrides(arguments)


def test_a_known_setting_passes():
    settings.check_overrides(["main", "--config", LUVNET, "--config.optim.lr=1"])


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("augment[0].degres", r"did you mean 'degrees'.*degrees, flip, name, rotate"),
        ("augment[1].degrees", r"'augment' has: \[0\]"),
        ("augment.degrees", r"'augment' has: \[0\]"),
    ],
)
def test_an_unknown_setting_of_an_operation_is_refused(key, said):
    arguments = ["main", f"--config={LUVNET}", f"--config.{key}=1"]
    with pytest.raises(settings.ConfigError, match=said):
        settings.check_overrides(arguments)


def test_an_operation_keeps_its_types_and_its_place():
    config = settings.load(LUVNET)
    settings.override(config, ["augment[0].degrees=5"])
    assert dict(settings.flatten(config))["augment[0].degrees"] == 5.0
    with pytest.raises(settings.ConfigError, match=r"augment\[0\].flip='often'.*float"):
        settings.override(config, ["augment[0].flip=often"])
    settings.override(config, ["augment=[]"])
    settings.check(config)
    assert dict(settings.flatten(config))["augment"] == []


def test_what_an_operation_leaves_to_its_defaults_is_written_out():
    config = settings.load(LUVNET)
    text = 'augment=[{"name": "brightness", "gain": 0.1, "shift": 0}]'
    settings.override(config, [text])
    settings.complete(config)
    assert config.augment == [
        {"name": "brightness", "gain": 0.1, "shift": 0, "probability": 1.0}
    ]


def test_an_old_runs_augmentation_is_refused_as_what_it_is():
    config = settings.load(LUVNET).copy_and_resolve_references()
    with config.ignore_type(), config.unlocked():
        config.augment = {"flip": 0.5}
    with pytest.raises(settings.ConfigError, match="must be a list of operations"):
        settings.check(config)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["model.options.head=8"], "options.head=8 .*'luvnet' has dropout, encoder"),
        (["model.name=x3d_s"], "encoder='resnet18' .*'x3d_s' has dropout, width"),
        (["model.name=swin"], "model.name='swin': allowed is .*c3d, cnn_lstm"),
        (["model.name=no.such:Thing"], "model.name='no.such:Thing': .*No module"),
    ],
)
def test_what_the_network_does_not_have_is_refused_with_what_it_has(given, said):
    config = settings.load(LUVNET)
    settings.override(config, given)
    with pytest.raises(settings.ConfigError, match=f"config.*{said}"):
        settings.complete(config)


def test_an_option_that_the_file_does_not_name_can_be_given():
    config = settings.load(LUVNET)
    assert "dropout" not in config.model.options
    settings.check_overrides(
        ["main", f"--config={LUVNET}", "--config.model.options.dropout=0.3"]
    )
    settings.override(config, ["model.options.dropout=0.3"])
    settings.complete(config)
    own = {"encoder": "resnet18", "width": 16, "heads": 8, "kernel_size": 5}
    assert config.model.options.to_dict() == own | {"dropout": 0.3}


def test_a_run_tells_every_option_of_its_network(tmp_path):
    workdirs.claim_workdir(settings.load(LUVNET), tmp_path / "run")
    options = settings.read(tmp_path / "run").model.options
    assert options.dropout == 0.5 and options.kernel_size == 5


@pytest.mark.parametrize("variant", ["", ":segment"])
def test_options_that_a_shipped_file_does_not_name_can_be_given(variant):
    config = settings.load(f"configs/busi.py{variant}")
    assert not config.model.options.is_locked and not config.task.options.is_locked


def test_an_option_of_a_finished_run_that_is_not_there_is_one_line(tmp_path):
    config = settings.load("configs/busi.py")
    settings.write(config, tmp_path)
    read = settings.read(tmp_path)
    settings.override(read, ["model.options.layers=3"])
    with pytest.raises(settings.ConfigError, match="'resnet18' has dropout, width"):
        settings.complete(read)


def test_an_unknown_variant_names_the_known_ones():
    with pytest.raises(
        settings.ConfigError,
        match="'pocus', 'dicom', 'videos', 'videos_frame_vote', 'paper', 'tuned'",
    ):
        settings.load(f"{LUVNET}:papr")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def get_config(arg):\n    return 3\n", "must give a ConfigDict"),
        (
            "def get_config(arg):\n    return {}['a']\n",
            r"KeyError: 'a' \(own.py, line 2",
        ),
        ("x = 1\ndef get_config(\n", r"SyntaxError.*line 2"),
        ("x = 1\n", "has no get_config"),
    ],
)
def test_a_file_that_gives_no_settings_is_named_with_the_reason(tmp_path, text, said):
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(settings.ConfigError, match=f"own.py'.*{said}"):
        settings.load(str(tmp_path / "own.py"))


def test_a_group_of_settings_is_not_set_as_one():
    config = settings.load(LUVNET)
    with pytest.raises(settings.ConfigError, match="give .*data.options.size"):
        settings.override(config, ['data.options={"size": 32}'])


def test_the_folder_is_named_after_config_and_variant():
    assert workdirs.workdir_name("configs/luvnet.py:pocus") == "runs/luvnet-pocus"
    assert workdirs.workdir_name("configs/luvnet.py") == "runs/luvnet"


def test_a_run_is_claimed_once_and_continued_with_the_same_settings(tmp_path):
    config = settings.load(LUVNET)
    workdirs.claim_workdir(config, tmp_path / "run")
    workdirs.claim_workdir(config, tmp_path / "run")
    config.data.threads = 1
    workdirs.claim_workdir(config, tmp_path / "run")
    config.optim.lr = 0.5
    with pytest.raises(settings.ConfigError, match=r"optim.lr=0.5 \(there 0.001\)"):
        workdirs.claim_workdir(config, tmp_path / "run")
    config.optim.lr = 0.001
    config.augment[0]["degrees"] = 5.0
    changed = r"augment\[0\].degrees=5.0 \(there 10.0\)"
    with pytest.raises(settings.ConfigError, match=changed):
        workdirs.claim_workdir(config, tmp_path / "run")
    config.augment = []
    with pytest.raises(settings.ConfigError, match=r"augment=\[\] \(there None\)"):
        workdirs.claim_workdir(config, tmp_path / "run")


def test_a_folder_that_may_not_be_written_into_is_refused_at_once(
    tmp_path, monkeypatch
):
    """By what the system says of the folder: root may write everywhere."""
    config = settings.load(LUVNET)
    asked = []
    monkeypatch.setattr(workdirs.os, "access", lambda *given: asked.append(given))
    with pytest.raises(settings.ConfigError, match="nothing may be written into") as e:
        workdirs.check_workdir(config, tmp_path / "new/run")
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]
    assert f"into '{tmp_path}'" in str(e.value) and not (tmp_path / "new").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_other_processes_touch_a_folder_after_the_first_has_claimed_it(
    tmp_path, monkeypatch, rank
):
    config, folder = settings.load(LUVNET), tmp_path / "run"
    seen = []

    def told(refused):
        seen.append((refused, folder.exists()))
        if rank == 1:  # what the first does meanwhile
            settings.write(config, folder)
            (folder / "checkpoints").mkdir()
        return refused

    monkeypatch.setattr(workdirs.jax, "process_index", lambda: rank)
    monkeypatch.setattr(workdirs.process_zero, "told", told)
    workdirs.claim_workdir(config, folder)
    assert seen == [(False, rank == 0)]


def test_a_refusal_of_the_first_process_reaches_the_others(tmp_path, monkeypatch):
    (tmp_path / "thesis.tex").write_text("")
    told = []
    monkeypatch.setattr(
        workdirs.process_zero, "told", lambda one: told.append(one) or one
    )
    with pytest.raises(settings.ConfigError, match="holds other files and no run"):
        workdirs.claim_workdir(settings.load(LUVNET), tmp_path)
    assert told == [True]
    monkeypatch.setattr(workdirs.jax, "process_index", lambda: 1)
    monkeypatch.setattr(workdirs.process_zero, "told", lambda one: True)
    with pytest.raises(settings.ConfigError, match="was refused by process 0"):
        workdirs.claim_workdir(settings.load(LUVNET), tmp_path)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(settings.ConfigError, match="holds other files and no run"):
        workdirs.claim_workdir(settings.load(LUVNET), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_another_process_begins_meanwhile_is_its_own(tmp_path, monkeypatch):
    config, folder = settings.load(LUVNET), tmp_path / "run"
    folder.mkdir()
    listed = type(folder).iterdir

    def begun(path):
        if path == folder and not any(listed(path)):
            settings.write(config, folder)
        return listed(path)

    monkeypatch.setattr(type(folder), "iterdir", begun)
    workdirs.claim_workdir(config, folder)
    config.optim.lr = 0.5
    with pytest.raises(settings.ConfigError, match="optim.lr=0.5"):
        workdirs.claim_workdir(config, folder)


def test_settings_survive_the_round_trip_to_a_file(tmp_path):
    config = settings.load(f"{LUVNET}:pocus")
    settings.write(config, tmp_path)
    assert settings.read(tmp_path).to_dict() == config.to_dict()
    assert json.loads((tmp_path / "config.json").read_text())["data"]["name"] == "pocus"


def test_a_damaged_settings_file_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(settings.ConfigError, match="config.json' cannot be read"):
        settings.read(tmp_path)


def test_a_run_of_an_older_version_gets_the_defaults_of_new_settings(tmp_path):
    config = settings.load(LUVNET)
    settings.complete(config)
    tree = config.to_dict()
    del tree["memory_limit_gb"], tree["data"]["prefetch"], tree["tune"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    lines = []
    read = settings.read(tmp_path, lines.append)
    assert read.to_dict() == config.to_dict()
    (line,) = lines
    assert "config.json is of an older version; by default: " in line
    assert (
        "memory_limit_gb=0.0" in line
        and "data.prefetch=4" in line
        and "tune.trials=16" in line
    )
    settings.check(read)
    del tree["model"]["options"]["dropout"]  # an option that the network got since
    (tmp_path / "config.json").write_text(json.dumps(tree))
    workdirs.claim_workdir(config, tmp_path)  # is continued by the same command


def test_what_is_no_setting_any_more_is_told_and_a_whole_file_says_nothing(tmp_path):
    config = settings.load(LUVNET)
    tree = config.to_dict()
    settings.write(config, tmp_path)
    lines = []
    settings.read(tmp_path, lines.append)
    assert lines == []
    tree["data"]["workers"] = 3
    (tmp_path / "config.json").write_text(json.dumps(tree))
    settings.read(tmp_path, lines.append)
    assert [line.split(": ")[1] for line in lines] == ["data.workers=3"]


def test_options_of_a_network_are_not_invented_for_an_old_run(tmp_path):
    tree = settings.load(LUVNET).to_dict()
    del tree["model"]["options"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    read = settings.read(tmp_path)
    with pytest.raises(settings.ConfigError, match="lack model.options"):
        settings.complete(read)


@pytest.mark.parametrize(
    "text",
    ["[]", "3", '{"data": 3}', "[" * 100_000, '{"seed": 1, "seed": 2}']
    + ['{"optim": {"lr": NaN}}', '{"seed": null}', '{"train": {"epochs": 1e400}}']
    + ['{"data": {"batch_size": "4"}}', '{"seed": true}', '{"model": {"options": 3}}'],
)
def test_a_settings_file_that_is_no_tree_of_settings_is_one_line(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(settings.ConfigError, match="config.json"):
        settings.check(settings.read(tmp_path))


def test_settings_that_are_no_file_are_not_told_as_missing(tmp_path):
    path = tmp_path / "config.json"
    for make in (path.mkdir, lambda: path.symlink_to(path.name)):
        make()
        with pytest.raises(settings.ConfigError, match=r"config\.json' is no file"):
            settings.read(tmp_path)
        path.unlink() if path.is_symlink() else path.rmdir()


def alone(folder, mode="train", *assigned):
    """What `--workdir FOLDER [--config.x=v]` means without a configuration file."""
    return workdirs.resolve(
        None, "", mode=mode, workdir=str(folder), rest=[], assigned=assigned
    )


def test_a_runs_folder_alone_has_its_settings_and_may_move_its_data(tmp_path):
    config = settings.load(LUVNET)
    workdirs.claim_workdir(config, tmp_path / "run")
    found, folder = alone(tmp_path / "run", "train", "data.data_dir=/elsewhere")
    assert folder == tmp_path / "run" and found.data.data_dir == "/elsewhere"
    config.data.data_dir = "/elsewhere"
    assert found.to_dict() == config.to_dict()
    with pytest.raises(settings.ConfigError, match="other settings: optim.lr=0.5"):
        alone(tmp_path / "run", "train", "optim.lr=0.5")
    with pytest.raises(settings.ConfigError, match="did you mean 'lr'"):
        alone(tmp_path / "run", "train", "optim.lrr=0.5")


def test_a_cross_validations_folder_alone_is_not_trained_into(tmp_path):
    config = settings.load(LUVNET)
    config.data.protocol, config.data.test_fraction = "rotation", 0.0
    workdirs.claim_workdir(config, tmp_path)
    workdirs.claim_workdir(config, tmp_path / "fold_0")
    with pytest.raises(settings.ConfigError, match="give --mode crossval"):
        alone(tmp_path)
    assert alone(tmp_path, "crossval")[1] == tmp_path
    assert alone(tmp_path / "fold_0")[1] == tmp_path / "fold_0"


def test_an_old_runs_few_replicates_can_be_raised_when_it_is_judged(tmp_path):
    config = settings.load(LUVNET)
    config.evaluation.replicates = 20  # what was once allowed
    workdirs.claim_workdir(config, tmp_path)
    with pytest.raises(settings.ConfigError, match="replicates=20 is not allowed"):
        alone(tmp_path, "evaluate")
    assert alone(tmp_path, "evaluate", "evaluation.replicates=200")
    assert alone(tmp_path, "train", "evaluation.replicates=200")
