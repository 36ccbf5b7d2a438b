"""Beside PyTorch, where that is installed."""

import sys

import pytest

from ultrasound_jax import models
from ultrasound_jax.study import benchmark, benchmark_torch, shipped


def test_without_pytorch_it_says_in_one_line_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert benchmark.main(["torch", "--networks", "unet"]) == 2
    said = capsys.readouterr().err
    assert "ultrasound-jax[torch]" in said and said.count("\n") == 1


def test_every_network_has_a_restatement_by_its_name():
    clips = {n for n in models.names() if models.arguments_of(n)[0] == "clip"}
    assert clips == set(shipped.networks())
    images = {"resnet18", *benchmark_torch.SEGMENTERS}
    assert clips | images == set(benchmark_torch.names())


def test_rows_of_noise_are_a_batch_that_the_task_takes():
    for name in ("frame_vote", *benchmark_torch.IMAGES):
        config = benchmark_torch.config_of(name, "tiny")
        shapes = shipped.task_of(config).spec.shapes()
        rows = benchmark_torch.rows_of_noise(config, 3)
        assert {n: (a.shape[1:], str(a.dtype)) for n, a in rows.items()} == shapes
        assert rows["labels" if "labels" in rows else "mask"].max() == 1


@pytest.mark.parametrize("name", benchmark_torch.names())
def test_a_restatement_has_our_parameters(name):
    pytest.importorskip("torch")
    from tests.models import torch_networks

    config = benchmark_torch.config_of(name, "small")
    experiment = shipped.abstract(config)
    pixels = experiment.task.spec.of_role("pixels")[0]
    *shape, _ = experiment.task.spec[pixels].batch_shape(pixels)
    options = config.model.options.to_dict()
    theirs = torch_networks.unfilled(
        name, tuple(shape), experiment.task.outputs, options
    )[0]
    assert sum(p.numel() for p in theirs.parameters()) == shipped.count(experiment)


def test_both_sides_are_timed_and_what_fails_is_told(capsys):
    pytest.importorskip("torch")
    found = benchmark_torch.bench(
        ["unet"], size="tiny", ways=["eager"], repeats=1, minutes=1.0, batch=1
    )
    figures = found["networks"]["unet"]
    assert found["left_out"] == []
    for part in ("train", "eval"):
        assert figures[part]["eager"]["ratio_to_ours"] > 0
    assert "unet train" in capsys.readouterr().out


def test_networks_for_which_no_time_is_left_are_listed():
    pytest.importorskip("torch")
    found = benchmark_torch.bench(
        ["unet"], size="tiny", ways=[], repeats=1, minutes=-1.0
    )
    assert found == {"networks": {}, "left_out": ["unet"]}
