"""The README's promise: a copied folder is a new dataset."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.datasets.building import REPO

DATASETS = REPO / "ultrasound_jax" / "datasets"
PAGE = (DATASETS / "README.md").read_text(encoding="utf-8")
(RECIPE,) = re.findall(r"(?m)(?:^    (?:cp|cd|mv|sed) .*\n)+", PAGE)
PROGRAM = """
import tensorflow_datasets as tfds
from ultrasound_jax.datasets.thyroid.thyroid_dataset_builder import Builder
builder = Builder(config=Builder.make_config(), data_dir="out")
manual = "ultrasound_jax/datasets/thyroid/dummy_data"
config = tfds.download.DownloadConfig(manual_dir=manual)
builder.download_and_prepare(download_config=config)
assert builder.name == "thyroid" and len(builder.as_data_source("images")) == 4
"""


def copied_sets():
    """The sets that the page says can be copied."""
    sentence = re.search(r"copy the\s+folder that is nearest.*?For a set", PAGE, re.S)
    assert sentence
    return re.findall(r"`(\w+)`", sentence[0])


@pytest.mark.parametrize("name", copied_sets())
def test_a_copied_folder_is_a_new_dataset(tmp_path, name):
    """By the commands of the page, as they stand there."""
    shutil.copytree(
        REPO / "ultrasound_jax",
        tmp_path / "ultrasound_jax",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    commands = RECIPE.replace("skin_tumor", name)
    assert len(commands.splitlines()) == 4
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, check=True)
    program = PROGRAM.replace("== 4", "> 0") if name != "skin_tumor" else PROGRAM
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        check=True,
        timeout=120,
        env=environment,
    )


@pytest.mark.parametrize(
    "folder",
    sorted(p.parent for p in DATASETS.glob("*/*_dataset_builder.py")),
    ids=lambda p: p.name,
)
def test_every_dataset_has_its_papers(folder):
    assert f"`{folder.name}`" in PAGE
    for name in ("README.md", "CITATIONS.bib", "TAGS.txt"):
        assert len((folder / name).read_text(encoding="utf-8")) > 40
