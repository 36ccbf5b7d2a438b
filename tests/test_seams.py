"""One new file is enough for a network, dataset, task, augmentation and statistic.

Each is written into a package that the program has never heard of, and nothing else is
touched: they train two steps, are judged and stand in the report.
"""

import importlib
import json
import sys
import textwrap

import pytest

from tests.conftest import ROOT
from ultrasound_jax import analysis, train
from ultrasound_jax import config as settings
from ultrasound_jax.analysis import stats
from ultrasound_jax.analysis.__main__ import main as analyse

FILES = {
    "network": '''
        import jax.numpy as jnp
        from flax import nnx

        class Glance(nnx.Module):
            """The mean of what a picture shows through a few filters."""

            def __init__(self, given, *, filters: int = 4):
                self.conv = nnx.Conv(1, filters, (3, 3), rngs=given.rngs)
                self.head = nnx.Linear(filters, given.outputs, rngs=given.rngs)

            def __call__(self, picture, *, rngs=None):
                x = nnx.relu(self.conv(picture)).mean((1, 2))
                return {"logits": self.head(x).astype(jnp.float32)}
    ''',
    "dots_dataset_builder": '''
        import numpy as np
        import tensorflow_datasets as tfds
        from ultrasound_jax.data.spec import Field, Spec
        from ultrasound_jax.datasets.beam.builder import ScalableBuilder

        def make(place):
            rng = np.random.default_rng(place)
            many = place % 2
            picture = (rng.random((8, 8, 1)) < 0.1 + 0.6 * many) * np.uint8(255)
            name = f"dots_{place:02d}"
            yield name, {
                "picture": picture.astype(np.uint8),
                "labels": np.array([many], np.int8),
                "count": np.float32(picture.astype(bool).sum()),
                "example_id": name,
                "video_id": name,
                "patient_id": f"patient_{place // 2}",
            }

        class Builder(ScalableBuilder, skip_registration=True):
            """Pictures of few or many dots."""

            VERSION = tfds.core.Version("1.0.0")
            BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="dots")]

            @classmethod
            def make_config(cls):
                return cls.BUILDER_CONFIGS[0]

            def spec(self):
                picture = Field(shape=(8, 8, 1), dtype="uint8", role="pixels")
                label = Field(
                    shape=(1,), dtype="int8", role="labels", classes=("many",)
                )
                count = Field(shape=(), dtype="float32", role="number")
                fields = {"picture": picture, "labels": label, "count": count}
                return Spec(fields, ("image", "image"))

            def _info(self):
                raw = {"dtype": np.uint8, "encoding": "bytes"}
                ids = ("example_id", "video_id", "patient_id")
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict({
                        "picture": tfds.features.Tensor(shape=(8, 8, 1), **raw),
                        "labels": tfds.features.Tensor(shape=(1,), dtype=np.int8),
                        "count": np.float32,
                        **dict.fromkeys(ids, tfds.features.Text()),
                    }),
                    metadata=tfds.core.MetadataDict(skipped=[]),
                )

            def _split_generators(self, dl_manager):
                return {"pictures": self.examples(range(40), make)}
    ''',
    "task": '''
        from dataclasses import dataclass
        from typing import ClassVar

        import jax.numpy as jnp
        from ultrasound_jax.tasks import Term
        from ultrasound_jax.tasks.multilabel import MultiLabel

        @dataclass(frozen=True)
        class Counting(MultiLabel):
            """Says whether there are many dots, and counts them on the way."""

            NEEDS: ClassVar = ("pixels", "labels", "number")
            share: float = 0.5

            @classmethod
            def make(cls, spec, labels=None, *, share: float = 0.5):
                return cls(spec, None, share)

            @property
            def outputs(self):
                return 2

            def scores(self, outputs):
                return super().scores({"logits": outputs["logits"][:, :1]})

            def weights(self, batch):
                count = (batch["index"] >= 0).sum().astype(jnp.float32)
                return super().weights(batch) | {"count": count}

            def loss(self, outputs, fields):
                said = {"logits": outputs["logits"][:, :1]}
                off = (outputs["logits"][:, 1] - fields["count"] / 64) ** 2
                off = jnp.where(fields["index"] >= 0, self.share * off, 0.0)
                weight = self.weights(fields)["count"]
                term = Term(off.sum(), weight, off)
                return super().loss(said, fields) | {"count": term}
    ''',
    "augmentation": '''
        import jax

        def make(*, size: float):
            """Adds a little noise to the pixels."""

            def operation(fields, roles, key):
                changed = dict(fields)
                for name, role in roles.items():
                    if role == "pixels":
                        noise = jax.random.normal(key, fields[name].shape)
                        changed[name] = fields[name] + size * noise
                return changed

            return operation
    ''',
}
STATISTIC = '''
    from ultrasound_jax.analysis.document import Text

    NAME, KINDS, OPTIONS, SOURCES = "surprise", ("multilabel",), (), ()

    def compute(judged, options, drawing):
        """The mean distance of scores from one half."""
        return {"distance": float(abs(judged.rows.scores - 0.5).mean())}

    def blocks(tree):
        return [Text(f"Scores are {tree['distance']:.2f} from one half.")]

    def rows(tree):
        return [{"metric": "surprise", "value": tree["distance"]}]
'''
CONFIG = """
    from configs._base import base

    def get_config(arg=""):
        config = base()
        config.data.name = "toy_house.dots_dataset_builder:Builder"
        config.data.batch_size = 8
        config.data.eval_batch_size = 8
        config.data.folds = 3
        config.model.name = "toy_house.network:Glance"
        config.task.name = "toy_house.task:Counting"
        with config.unlocked():
            config.model.options = {"filters": 2}
            config.task.options = {"share": 0.25}
        config.augment = [{"name": "toy_house.augmentation:make", "size": 0.05}]
        config.train.epochs = 1
        config.train.log_every = 1
        config.evaluation.replicates = 200
        return config
"""


def written(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def toy_house(tmp_path, monkeypatch):
    for name, text in {"__init__": "", **FILES}.items():
        written(tmp_path / "code" / "toy_house", name, text)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    written(tmp_path / "statistics", "surprise", STATISTIC)
    found_in = [*stats.__path__, str(tmp_path / "statistics")]
    monkeypatch.setattr(stats, "__path__", found_in)
    importlib.invalidate_caches()
    yield written(tmp_path, "toy", CONFIG)
    for name in [n for n in sys.modules if n.startswith("toy_house")]:
        del sys.modules[name]
    sys.modules.pop(f"{stats.__name__}.surprise", None)


def test_one_new_file_of_each_kind_is_enough(toy_house, tmp_path, one_device, capsys):
    config = settings.load(str(toy_house))
    config.data.data_dir = str(tmp_path / "data")
    settings.check(config)
    folder = tmp_path / "run"
    metrics = train.train_and_evaluate(config, folder)

    rows = (folder / "scalars.csv").read_text().splitlines()
    names = {row.split(",")[1] for row in rows}
    assert {"train/loss_cross_entropy", "train/loss_count"} <= names
    assert rows[-1].startswith("2,"), "two steps of eight pictures"

    about = json.loads((folder / "model.json").read_text())
    assert about["network"]["name"] == "toy_house.network:Glance"
    assert about["network"]["options"] == {"filters": 2}
    assert about["task"]["options"] == {"share": 0.25}
    assert about["spec"]["fields"]["count"]["role"] == "number"
    assert about["classes"] == ["many"]

    assert 0 <= metrics["test"]["image"]["macro_auroc"] <= 1
    assert metrics["test"]["surprise"]["distance"] >= 0
    report = (folder / "report.md").read_text()
    assert "from one half" in report and "image" in report
    assert "clip" not in report and "video" not in report
    table = (folder / "predictions.csv").read_text().splitlines()
    assert table[0].startswith("example_id,image_id,patient_id")

    assert analyse(["metrics", str(folder), "--out", str(tmp_path / "judged")]) == 0
    assert "surprise" in (tmp_path / "judged" / "metrics.csv").read_text()


def test_what_is_named_and_not_there_is_one_line(toy_house, tmp_path, one_device):
    for change, words in (
        ("model.name=toy_house.network:Stare", "no attribute 'Stare'"),
        ("task.name=toy_house.nothing:Task", "'toy_house.nothing' cannot be imported"),
        ("data.name=toy_house.network:Glance", "Glance has no make_config"),
        ("model.options={'layers': 3}", "filters"),
    ):
        config = settings.load(str(toy_house))
        config.data.data_dir = str(tmp_path / "data")
        key, _, value = change.partition("=")
        with config.unlocked():
            node, _, leaf = key.partition(".")
            config[node][leaf] = {"layers": 3} if "options" in key else value
        with pytest.raises(settings.UltrasoundError, match=words):
            train.train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_rooms_know_no_toy():
    package = ROOT / "ultrasound_jax"
    for path in package.rglob("*.py"):
        assert "toy_house" not in path.read_text(), path
    assert analysis.__path__, "the statistic was found by listing its folder"
