"""The examples of CONTRIBUTING.md, each run as it stands there."""

import ast
import importlib
import inspect
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.conftest import ROOT
from ultrasound_jax import augment, models, tasks
from ultrasound_jax.analysis import stats
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.spec import Field, Spec

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, flags=re.DOTALL))
LABELS = jnp.array([[1, 0, -1], [0, 0, 1]], jnp.int8)
SPEC = Spec(
    {
        "image": Field(shape=(16, 16, 1), dtype="uint8", role="pixels"),
        "labels": Field(shape=(3,), dtype="int8", role="labels", classes=tuple("abc")),
    }
)


@pytest.fixture
def my_lab(tmp_path, monkeypatch):
    """The examples in a package that the program has never heard of."""
    folder = tmp_path / "code" / "my_lab"
    folder.mkdir(parents=True)
    for path, text in BLOCKS.items():
        (folder / path.split("/")[-1]).write_text(text)
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    yield folder
    for name in [n for n in sys.modules if n.split(".")[0] == "my_lab"]:
        del sys.modules[name]


def settings_of(name):
    """What the example says a configuration must set."""
    line = re.search(rf"    config\.{name} = (.*)", TEXT)
    assert line, name
    literal = line[1].removeprefix("ConfigDict(").removesuffix(")")
    return ast.literal_eval(literal if "ConfigDict" in line[1] else line[1])


def test_there_is_one_example_of_each_seam_and_a_test_of_it():
    assert len(BLOCKS) == 6 == TEXT.count("```python")
    tests = [n for n in globals() if n.startswith("test_the_example_of_")]
    assert len(tests) == 5


def test_the_example_of_an_augmentation(my_lab):
    fields = {"image": jnp.zeros((4, 16, 16, 1)), "mask": jnp.ones((4, 16, 16, 1))}
    noisy = augment.build(settings_of("augment"))(
        fields, {"image": "pixels", "mask": "mask"}, key=jax.random.key(0)
    )
    assert float(noisy["image"].std()) == pytest.approx(0.05, rel=0.1)
    assert noisy["mask"] is fields["mask"]


def test_the_example_of_a_network(my_lab):
    name, options = settings_of("model.name"), settings_of(r"model\.options")
    model = models.build(name, rngs=nnx.Rngs(0), patterns=3, **options)
    assert model(image=jnp.ones((2, 16, 16, 1)))["logits"].shape == (2, 3)
    with pytest.raises(models.ModelError, match="filters"):
        models.build(name, rngs=nnx.Rngs(0), patterns=3, layers=2)


def test_the_example_of_a_task(my_lab):
    options = settings_of(r"task\.options")
    task = tasks.build(settings_of("task.name"), SPEC, options=options)
    assert task.outputs == 3 and task.gamma == 1.5
    logits = jnp.array([[2.0, -1.0, 5.0], [0.5, 0.0, -3.0]])
    (term,) = task.loss({"logits": logits}, {"labels": LABELS}).values()
    truth, known = np.asarray(LABELS == 1), np.asarray(LABELS >= 0)
    chance = 1 / (1 + np.exp(-np.asarray(logits)))
    right = np.where(truth, chance, 1 - chance)[known]
    assert float(term.weight) == known.sum() == 5
    expected = -((1 - right) ** 1.5 * np.log(right)).sum()
    np.testing.assert_allclose(float(term.total), expected, rtol=1e-5)


def test_the_example_of_a_dataset(my_lab, tmp_path):
    options = settings_of(r"data\.options")
    where = {"options": options, "data_dir": str(tmp_path / "data")}
    name = settings_of("data.name")
    sources.prepare(name, **where, manual_dir="", say=lambda line: None)
    source = sources.open_source(name, **where)
    assert source.spec["image"].shape == (32, 32, 1)
    assert source.spec["labels"].classes == ("few", "many")
    patients = list(source.table.patient_id)
    assert len(patients) == 40 and len(set(patients)) == 20
    assert source.load(np.arange(3))["image"].max() == 255


def test_the_example_of_a_statistic(my_lab, monkeypatch):
    (path,) = (path for path in BLOCKS if path.startswith("analysis/"))
    assert path == "analysis/stats/surprise.py"
    monkeypatch.setattr(stats, "__path__", [*stats.__path__, str(my_lab)])
    parts = importlib.import_module("ultrasound_jax.analysis.stats._parts.statistic")
    for other in my_lab.glob("*.py"):
        if other.name != "surprise.py":
            other.unlink()
    found = {one.name: one for one in parts.statistics("multilabel")}
    surprise = found["surprise"]

    class Judged:
        class rows:
            scores = np.array([[0.1], [0.7]])

    tree = surprise.compute(Judged, {}, {})
    assert tree["distance"] == pytest.approx(0.3)
    assert surprise.rows(tree) == [{"metric": "surprise", "value": tree["distance"]}]
    assert "0.30 from one half" in str(surprise.blocks(tree))
    assert inspect.getdoc(surprise.compute)
    sys.modules.pop(f"{stats.__name__}.surprise", None)
