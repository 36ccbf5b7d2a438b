"""Scripts that write results worth committing."""

import importlib.util
import json

import pytest

from tests.conftest import ROOT
from ultrasound_jax.study import committed, crossval


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"experiments/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["pocus_luvnet", "busi_baselines"])
def test_a_script_writes_what_it_ran_by_which_commit(name, tmp_path, monkeypatch):
    seen = {}

    def judged(configs, folder):
        seen.update(configs)
        return {key: {"out_of_fold": {}} for key in configs}

    monkeypatch.setattr(committed, "cross_validate_all", judged)
    module = script(name)
    out = tmp_path / "results.json"
    arguments = ["--manual_dir=d", f"--out={out}", "--epochs=3"]
    assert module.main([*arguments, f"--workdir={tmp_path}"]) == 0
    results = json.loads(out.read_text())
    assert {"command", "commit", "date", "cpu"} <= results["run"].keys()
    assert {key: results[key]["config"] for key in module.CONFIGS} == module.CONFIGS
    assert {config.train.epochs for config in seen.values()} == {3}
    assert {config.data.manual_dir for config in seen.values()} == {"d"}


def test_of_each_network_is_kept_what_predictions_do_not_tell(
    tiny_config, tmp_path, monkeypatch
):
    def judged(config, folder):
        assert config.data.protocol == "rotation" and config.data.test_fraction == 0
        assert "dropout" in config.model.options, "every option is written out"
        pooled = {"clip": {"macro_auroc": 0.5}, "conformal": {"long": 1}}
        return {"out_of_fold": pooled, "run": {"commit": "x"}, "folds": [{"clip": 1}]}

    monkeypatch.setattr(crossval, "cross_validate", judged)
    monkeypatch.setattr(
        crossval.compiling, "use_compilation_cache", lambda folder: None
    )
    found = crossval.cross_validate_all({"a": tiny_config}, tmp_path)
    assert found == {
        "a": {
            "out_of_fold": {"clip": {"macro_auroc": 0.5}},
            "run": {"commit": "x"},
            "folds": [{"clip": 1}],
        }
    }
    assert tiny_config.data.protocol == "holdout", "the given settings stay"
