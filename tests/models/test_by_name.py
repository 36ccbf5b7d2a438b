"""Networks are found by name, say which options they have, and refuse any other."""

import inspect

import jax.numpy as jnp
import pytest
from flax import nnx

from ultrasound_jax import models
from ultrasound_jax.models._parts import by_name
from ultrasound_jax.models._parts.first_keys import first_keys

OWN = '''
from flax import nnx
from ultrasound_jax.models import Given

class Mean(nnx.Module):
    """The mean grey value, as often as there are outputs."""

    def __init__(self, given: Given, *, gain: float = 2.0):
        self.outputs, self.gain = given.outputs, gain

    def __call__(self, clip, lengths=None, *, rngs=None):
        return {"logits": self.gain * clip.mean((1, 2, 3))[:, : self.outputs]}

class Needs(nnx.Module):
    def __init__(self, given, *, gain): ...
    def __call__(self, clip): ...

class Silent(nnx.Module):
    def __init__(self, given): ...

class Closed(nnx.Module):
    def __init__(self, given): ...
    def __call__(self, clip): ...

class Plain:
    def __init__(self, given): ...
    def __call__(self, clip): ...

def function(given): ...
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    package = tmp_path / "a_users_own"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "networks.py").write_text(OWN)
    (package / "broken.py").write_text("import jax\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "a_users_own"


def test_a_network_of_a_users_own_is_built_by_the_path_of_its_class(own_module):
    name = f"{own_module}.networks:Mean"
    assert models.options_of(name) == {"gain": 2.0}
    assert models.arguments_of(name) == ("clip", "lengths")
    model = models.build(name, patterns=1, gain=3.0, rngs=nnx.Rngs(0))
    assert float(model(clip=jnp.ones((1, 2, 4, 4, 1)))["logits"][0, 0]) == 3.0
    with pytest.raises(models.ModelError, match="'heads' of .*Mean': allowed are gain"):
        models.build(name, heads=4, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("networks:Absent", "AttributeError.*no attribute 'Absent'"),
        ("absent:Mean", "ModuleNotFoundError: No module named"),
        ("broken:Mean", "ZeroDivisionError"),
        ("networks:Needs", "option=default"),
        ("networks:Silent", "and called"),
        ("networks:Closed", "with rngs=None at the end"),
        ("networks:Plain", "nnx.Module"),
        ("networks:function", "nnx.Module"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(own_module, name, words):
    with pytest.raises(models.ModelError, match=words) as error:
        models.build(f"{own_module}.{name}", rngs=nnx.Rngs(0))
    assert str(error.value).startswith(f"name='{own_module}.{name}': allowed is")
    assert "\n" not in str(error.value)


def test_a_file_of_models_is_enough(tmp_path, monkeypatch):
    """Also one whose name begins like another's: the longest that fits has it."""
    (tmp_path / "x3d_toy.py").write_text(f'{OWN}\nNETWORKS = {{"x3d_toy_2": Mean}}')
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    assert {"x3d_s", "x3d_toy_2"} <= set(models.names())
    assert models.options_of("x3d_toy_2") == {"gain": 2.0}
    assert models.find("x3d_s").__name__ == "X3DS"


@pytest.mark.parametrize("table", [by_name.NETWORKS, by_name.ENCODERS])
def test_every_shipped_class_is_found_by_its_name_and_keeps_the_contract(table):
    names = by_name.names(table)
    assert len(names) > 3
    for name in names:
        kind = by_name.find(table, "name", name)
        assert by_name.fits_contract(kind), name
        for parameter in list(inspect.signature(kind).parameters.values())[1:]:
            assert parameter.annotation is not parameter.empty, (name, parameter)


@pytest.mark.parametrize(
    ("name", "options", "own"),
    [
        ("x3d_s", {"heads": 64}, "dropout, width;"),
        ("vivit", {"width": 512}, "depth, dim, dim_head, heads, patch;"),
        ("frame_vote", {"kernel_size": 5}, "encoder, pooling, width;"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(name, options, own):
    with pytest.raises(models.ModelError, match=f"allowed are {own}") as error:
        models.build(name, **options, rngs=nnx.Rngs(0))
    assert "\n" not in str(error.value)
    assert "every network is given channels, clip_shape, dtype" in str(error.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("usvn", {"encoder": "resnet18", "width": 8, "heads": 7}),
        ("luvnet", {"encoder": "vgg"}),
        ("luvnet", {"width": 7}),
        ("cnn_lstm", {"layers": 0}),
        ("x3d_s", {"dropout": 1.0}),
        ("vivit", {"dim_head": -1}),
        ("r2plus1d_18", {"width": 1}),
        ("c3d", {"clip_shape": (4, 16, 16), "image_shape": (16, 16)}),
    ],
)
def test_a_value_that_an_option_cannot_have_is_told_with_what_it_may(name, options):
    option = [*options][-1]
    with pytest.raises(models.OptionError) as error:
        nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))
    told = str(error.value)
    assert told.startswith(f"{option}={options[option]!r}: allowed is ")
    assert error.value.option == option and "\n" not in told
