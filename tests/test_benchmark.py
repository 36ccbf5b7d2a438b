import pytest

from ultrasound_jax import benchmark
from ultrasound_jax import experiment as experiments


@pytest.mark.parametrize(
    ("bench", "ratio"),
    [
        (benchmark.bench_data, "ratio_to_plain_tfds_loop"),
        (benchmark.bench_step, "ratio_to_nnx_jit_optimizer"),
        (benchmark.bench_loop, "share_waiting_for_data"),
    ],
    ids=["data", "step", "loop"],
)
def test_a_benchmark_measures_something(bench, ratio, tiny_config, one_device):
    experiment = experiments.open_experiment(tiny_config, lambda line: None)
    found = bench(experiment, 1)
    assert ratio in found
    assert all(value >= 0 for value in found.values())
    assert found.get("clips_per_s", found.get("train_clips_per_s")) > 0


def test_a_wrong_config_is_one_line(capsys):
    assert benchmark.main(["step", "--config=no.py"]) == 2
    assert "no.py" in capsys.readouterr().err
