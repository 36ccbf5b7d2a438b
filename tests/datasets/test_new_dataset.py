"""The README's promise: a copied folder is a new dataset."""

import shutil
import subprocess
import sys

import pytest

from tests.datasets.building import REPO

DATASETS = REPO / "ultrasound_jax" / "datasets"
PROGRAM = """
import tensorflow_datasets as tfds
from ultrasound_jax.datasets.thyroid.thyroid_dataset_builder import Builder
builder = Builder(config=Builder.make_config(), data_dir="out")
manual = "ultrasound_jax/datasets/thyroid/dummy_data"
config = tfds.download.DownloadConfig(manual_dir=manual)
builder.download_and_prepare(download_config=config)
assert builder.name == "thyroid" and len(builder.as_data_source("images")) == 4
"""


def test_a_copied_folder_is_a_new_dataset(tmp_path):
    shutil.copytree(
        REPO / "ultrasound_jax",
        tmp_path / "ultrasound_jax",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    copy = tmp_path / "ultrasound_jax" / "datasets" / "thyroid"
    shutil.copytree(copy.with_name("skin_tumor"), copy)
    builder_file = copy / "skin_tumor_dataset_builder.py"
    builder_file.rename(copy / "thyroid_dataset_builder.py")
    for path in copy.glob("*.py"):
        path.write_text(path.read_text().replace("skin_tumor", "thyroid"))
    subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, check=True, timeout=120
    )


@pytest.mark.parametrize(
    "folder",
    sorted(p.parent for p in DATASETS.glob("*/*_dataset_builder.py")),
    ids=lambda p: p.name,
)
def test_every_dataset_has_its_papers(folder):
    page = (DATASETS / "README.md").read_text(encoding="utf-8")
    assert f"`{folder.name}`" in page
    for name in ("README.md", "CITATIONS.bib", "TAGS.txt"):
        assert len((folder / name).read_text(encoding="utf-8")) > 40
