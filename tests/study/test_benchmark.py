import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import ROOT
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax.augment import primitives
from ultrasound_jax.study import benchmark, benchmark_augment


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


def test_the_step_of_a_network_without_dropout_is_measured(data_dir, one_device):
    config = settings.load(str(ROOT / "configs/resnet_attention.py"))
    config.data.data_dir = str(data_dir)
    config.data.options.update({"size": 32, "patients": 18, "images": 1})
    config.data.batch_size, config.data.eval_batch_size = 4, 8
    config.model.options.update({"width": 4})
    experiment = experiments.open_experiment(config, lambda line: None)
    assert benchmark.bench_step(experiment, 1)["ratio_to_nnx_jit_optimizer"] > 0


def test_a_wrong_config_is_one_line(capsys):
    assert benchmark.main(["step", "--config=no.py"]) == 2
    assert "no.py" in capsys.readouterr().err


def test_reading_a_cine_is_measured_against_the_plain_way():
    found = benchmark.bench_ingest(1, frames=3, rows=96, columns=128)
    assert found["grey_ratio_to_plain_pydicom_loop"] > 0
    assert found["mean_difference_levels"] < 1, "both read the same picture"


def test_the_ingest_benchmark_writes_its_figures(tmp_path, monkeypatch, capsys):
    small = {"frames": 2, "rows": 96, "columns": 128}
    bench = benchmark.bench_ingest
    monkeypatch.setattr(benchmark, "bench_ingest", lambda n: bench(n, **small))
    out = tmp_path / "ingest.json"
    assert benchmark.main(["ingest", "--repeats=1", f"--out={out}"]) == 0
    figures = json.loads(out.read_text())["ingest"]
    assert set(figures) == set(bench(1, **small))
    assert "ingest.rgb_frames_per_s" in capsys.readouterr().out


def test_feeding_is_told_beside_the_plain_loop_and_what_the_step_eats(one_device):
    found = benchmark.bench_feed(1, size=32, frame_rate=5.0, patients=14)
    rates = {name: value for name, value in found.items() if name.endswith("per_s")}
    assert set(rates) > {"clips_per_s", "small_step_clips_per_s"}
    assert all(value > 0 for value in rates.values())
    assert found["ours_cpu_ms_per_clip"] >= 0


def test_augmentation_is_told_beside_its_alternatives(experiment):
    def seconds(action):
        return benchmark.median_seconds(action, 1)

    images = jnp.full((4, 8, 8, 1), 0.5)
    found = benchmark_augment.bench_set(
        seconds, "ultrasound", images, jax.random.key(0), 1.0
    )
    assert found["mixture_ultrasound_ratio_to_vmapped_switch"] > 0
    assert set(benchmark_augment.PILLOW) <= set(primitives.names())
    ways = list(benchmark_augment.PILLOW.values())
    levels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    plain = benchmark_augment.by_pillow(levels, ways)
    assert len(plain) == 12 and all(one.shape == (8, 8) for one in plain)
    judged = benchmark_augment.bench_candidates(seconds, experiment, at_once=2)
    assert judged["candidates_per_s"] > 0 < judged["one_by_one_candidates_per_s"]
