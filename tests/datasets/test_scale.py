"""The same set from one machine and from Beam's workers."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.conftest import ROOT
from tests.datasets import scale_items
from ultrasound_jax.datasets.beam.builder import ScalableBuilder
from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.pocus.pocus_dataset_builder import Builder as Pocus

ONE_WORKER = ("--runner=FnApiRunner",)
TWO_WORKERS = (
    *ONE_WORKER,
    "--direct_num_workers=2",
    "--direct_running_mode=multi_processing",
)


class Toy(ScalableBuilder):
    """A set of random images; `items` and `make` are set from outside."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(
                        shape=(None, None, 1), dtype=np.uint8, encoding="bytes"
                    ),
                    "example_id": tfds.features.Text(),
                }
            ),
            metadata=tfds.core.MetadataDict(skipped=[]),
        )

    def _split_generators(self, dl_manager):
        self.skip("notes.txt", "not an image")
        return {"images": self.examples(self.items, self.make, ahead=self.ahead)}

    def account(self, facts, skipped):
        told = super().account(facts, skipped)
        return told | {"facts": [fact.value for fact in facts]}


SMALL = partial(scale_items.make, 16)


def built(folder, make=SMALL, beam=(), items=20, ahead=0):
    toy = Toy(data_dir=folder)
    toy.items, toy.make, toy.ahead = list(range(items)), make, ahead
    toy.download_and_prepare(download_config=download_config(beam))
    return toy


def download_config(beam):
    config = tfds.download.DownloadConfig(num_shards=3)
    if beam:
        from apache_beam.options.pipeline_options import PipelineOptions

        config.beam_options = PipelineOptions(flags=list(beam))
    return config


def records(builder, split="images"):
    return list(builder.as_data_source(split))


def assert_same_records(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        assert all(np.array_equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return built(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def on_two_workers(tmp_path_factory):
    """About 150 MB of images of 1 MB."""
    make = partial(scale_items.make_and_tell, 1024)
    return built(tmp_path_factory.mktemp("beam"), make, TWO_WORKERS, items=60)


def test_an_item_gives_any_number_of_examples(here):
    assert len(records(here)) == 3 * 17
    assert here.info.splits["images"].num_examples == 3 * 17


def test_what_is_skipped_is_listed_in_order_with_the_reason(here):
    assert here.info.metadata["skipped"] == [
        {"file": "notes.txt", "reason": "not an image"},
        *({"file": f"file{n}", "reason": f"broken at byte {n}"} for n in (3, 10, 17)),
    ]


def test_facts_arrive_in_the_order_of_the_items(here):
    assert here.info.metadata["facts"] == [n for n in range(20) if n % 7 != 3]


def test_threads_change_nothing(here, tmp_path):
    ahead = built(tmp_path, ahead=2)
    assert_same_records(records(here), records(ahead))
    assert dict(ahead.info.metadata) == dict(here.info.metadata)


def test_beam_writes_the_same_shards_in_the_same_order(here, tmp_path):
    on_beam = built(tmp_path, beam=ONE_WORKER)
    assert_same_records(records(here), records(on_beam))
    assert dict(on_beam.info.metadata) == dict(here.info.metadata)
    one, other = here.info.splits["images"], on_beam.info.splits["images"]
    assert len(one.shard_lengths) == 3
    assert one.shard_lengths == other.shard_lengths
    assert one.num_bytes == other.num_bytes


def test_beam_leaves_nothing_but_the_set(here, tmp_path):
    on_beam = built(tmp_path, beam=ONE_WORKER)
    names = sorted(path.name for path in Path(on_beam.data_dir).iterdir())
    assert names == sorted(path.name for path in Path(here.data_dir).iterdir())


def test_two_workers_share_the_work(on_two_workers):
    workers = {fact["id"] for fact in processes(on_two_workers)}
    assert len(workers) == 2 and os.getpid() not in workers


def test_a_workers_memory_does_not_grow_with_the_set(on_two_workers):
    assert on_two_workers.info.dataset_size > 150e6
    for worker in {fact["id"] for fact in processes(on_two_workers)}:
        told = [fact for fact in processes(on_two_workers) if fact["id"] == worker]
        held = [fact["megabytes"] for fact in told]
        assert len(held) > 10
        assert max(held) - held[2] < 20  # while it wrote about 75


def test_two_workers_make_what_one_machine_makes(on_two_workers, tmp_path):
    alone = built(tmp_path, partial(scale_items.make, 1024), items=60)
    assert_same_records(records(alone), records(on_two_workers))
    assert alone.info.metadata["skipped"] == on_two_workers.info.metadata["skipped"]


def processes(builder):
    return [fact for fact in builder.info.metadata["facts"] if isinstance(fact, dict)]


@pytest.mark.parametrize("beam", [(), ONE_WORKER], ids=["here", "beam"])
def test_a_set_without_an_example_is_refused_with_the_reasons(beam, tmp_path):
    with pytest.raises(DatasetError, match=r"none of 3 files .*file0: broken; file1"):
        built(tmp_path, scale_items.make_nothing, beam, items=2)
    assert not list(tmp_path.rglob("*array_record*"))


def test_a_set_without_a_file_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"none of 1 files is usable \(notes.txt"):
        built(tmp_path, items=0)


def test_a_key_of_two_examples_is_refused_on_beam(tmp_path):
    with pytest.raises(DatasetError, match="keys of several examples: same"):
        built(tmp_path, scale_items.make_the_same, ONE_WORKER, items=2)


def test_a_function_that_workers_cannot_import_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="allowed is a function at the top"):
        built(tmp_path, lambda item: [], ONE_WORKER)
    with pytest.raises(DatasetError, match="a module beside the builder's"):
        built(tmp_path, made_here, ONE_WORKER)


def test_one_machine_needs_no_second_file(tmp_path):
    with pytest.raises(DatasetError, match="file: seen; file: seen"):
        built(tmp_path, made_here, items=2)


def made_here(number):
    yield Skipped("file", "seen")
    yield Fact("number", number)


@pytest.mark.slow
def test_the_tfds_command_builds_on_beam_what_a_build_here_has(tmp_path):
    manual = tmp_path / "manual" / "pocus"
    shutil.copytree(Pocus.code_path.parent / "dummy_data", manual)
    broken = manual / "data" / "pocus_videos" / "convex" / "Reg_broken.mp4"
    broken.write_bytes(b"not a film" * 50)
    pocus = Pocus(data_dir=tmp_path / "here")
    pocus.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual.parent)
    )
    command = [
        str(Path(sys.executable).parent / "tfds"),
        "build",
        "ultrasound_jax/datasets/pocus",
        f"--manual_dir={manual.parent}",
        f"--data_dir={tmp_path / 'beam'}",
        "--config=112px_10hz_1s",
        "--beam_pipeline_options="
        + ",".join(x.removeprefix("--") for x in TWO_WORKERS),
    ]
    subprocess.run(command, check=True, cwd=ROOT, timeout=200, capture_output=True)
    on_beam = Pocus(data_dir=tmp_path / "beam")
    assert_same_records(records(pocus, "clips"), records(on_beam, "clips"))
    saved = [
        json.loads((Path(b.data_dir) / "metadata.json").read_text())
        for b in (pocus, on_beam)
    ]
    assert saved[0] == saved[1]
    assert [one["file"] for one in saved[1]["skipped"]] == ["convex/Reg_broken.mp4"]
