"""Fast AutoAugment: who is looked at, what is found, and that it goes on when cut."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from ultrasound_jax import augment
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax.augment import AugmentError, _policy_file
from ultrasound_jax.augment.search import estimator, presets
from ultrasound_jax.augment.search.__main__ import main
from ultrasound_jax.augment.search.presets import Preset
from ultrasound_jax.augment.search.space import STAGES, Space
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.predict.score_split import predict
from ultrasound_jax.study import policy_search
from ultrasound_jax.study.density import Density
from ultrasound_jax.study.inner_folds import inner_folds
from ultrasound_jax.tasks.segmentation import Segmentation
from ultrasound_jax.training.console import Stopwatch

pytestmark = pytest.mark.usefixtures("one_device")
TINY = Preset(
    inner=2, rounds=1, trials=6, keep=2, sub_policies=1, startup=4, proposals=24
)


@pytest.fixture
def config(tiny_config):
    tiny_config.model.name = "tests.glance:Glance"
    tiny_config.model.options = ConfigDict({})
    tiny_config.train.epochs = 1
    tiny_config.augment = []
    return tiny_config


@pytest.fixture
def opened(config):
    return experiments.open_experiment(config, lambda line: None)


def how(folder, **changes):
    given = {"preset": TINY, "space": Space(("fast",)), "at_once": 2} | changes
    return policy_search.Search(folder=folder, **given)


def run(config, folder, **changes):
    return policy_search.search(config, how(folder, **changes), [config.data.fold])


def test_nothing_that_validates_or_tests_is_ever_read(config, tmp_path, monkeypatch):
    """A canary in both parts: whoever reads them ends the search."""
    opened = experiments.open_experiment(config, lambda line: None)
    forbidden = {*opened.indices["test"].tolist()}
    forbidden |= {*opened.indices["validation"].tolist()}
    assert len(forbidden) > 2
    load, seen = Source.load, set()

    def watch(self, indices):
        seen.update(int(i) for i in indices if i >= 0)
        assert not forbidden & seen, "the search reads what is reported"
        return load(self, indices)

    monkeypatch.setattr(Source, "load", watch)
    run(config, tmp_path)
    assert seen == {*opened.indices["train"].tolist()}


def test_inner_folds_are_of_whole_patients_and_hold_out_every_training_example(opened):
    splits = inner_folds(opened, 3)
    patients = np.array(opened.source.table.patient_id)
    held = np.concatenate([split["validation"] for split in splits])
    assert sorted(held) == sorted(opened.indices["train"])
    for split in splits:
        assert not {*patients[split["train"]]} & {*patients[split["validation"]]}
        both = np.concatenate([split["train"], split["validation"]])
        assert sorted(both) == sorted(opened.indices["train"])
        assert not len(split["test"])


def test_a_policy_has_the_best_candidates_of_every_network_and_can_be_used(
    config, tmp_path
):
    content = run(config, tmp_path)
    path = tmp_path / "policy.json"
    _policy_file.write(path, content)
    (found,) = json.loads(path.read_text())["folds"].values()
    assert len(found) == TINY.found == 4
    for child in range(2):
        tree = json.loads(
            (tmp_path / f"fold_0/child_{child}/trials_0.json").read_text()
        )
        assert len(tree["trials"]) == 6 and tree["unchanged"] > 0
        ranked = sorted(tree["trials"], key=lambda one: one["loss"])
        best = [sub for one in ranked[:2] for sub in one["candidate"]]
        assert found[2 * child : 2 * child + 2] == best
    assert not list(tmp_path.glob("fold_*/child_*/checkpoints"))
    operation = [{"name": "policy", "file": str(path), "mode": "all"}]
    assert augment.build(operation, data=config.data).copies == 5


def test_a_search_cut_between_two_calls_finds_what_an_unbroken_one_finds(
    config, tmp_path, monkeypatch
):
    unbroken = run(config, tmp_path / "unbroken")["folds"]
    tell, calls = policy_search.Trials.tell, []

    def die(self, candidates, losses):
        tell(self, candidates, losses)
        calls.append(len(candidates))
        if len(calls) in (2, 5):
            raise KeyboardInterrupt

    monkeypatch.setattr(policy_search.Trials, "tell", die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "cut")
    assert run(config, tmp_path / "cut")["folds"] == unbroken
    assert calls == [2] * 6, "nothing is judged twice"


def test_a_folder_of_another_search_is_refused(config, tmp_path):
    run(config, tmp_path)
    with pytest.raises(AugmentError, match="of another search: at_once=3, there 2"):
        run(config, tmp_path, at_once=3)
    (tmp_path / "fold_0/child_0/trials_0.json").write_text("{")
    with pytest.raises(AugmentError, match="trials_0.json' cannot be read"):
        run(config, tmp_path)


@pytest.mark.parametrize("sub_policies", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_many_candidates_at_once_have_the_losses_of_each_alone(opened, sub_policies):
    space = Space(("fast", "ultrasound"), sub_policies)
    subs = space.random(5 * sub_policies, seed=1)
    candidates = [
        subs[at : at + sub_policies] for at in range(0, len(subs), sub_policies)
    ]
    weights = opened.params, opened.stats
    found = []
    for at_once in (1, 2, 5):
        density = Density(opened, space, at_once=at_once, seed=3)
        held = density.held(opened.indices["validation"])
        found.append(density.losses(weights, held, candidates))
    # Sums of a batch in another order.
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5)
    assert len({round(loss, 6) for loss in found[0]}) > 2


def test_what_changes_nothing_has_the_loss_of_the_evaluation(opened):
    space = Space(("fast",))
    density = Density(opened, space, at_once=2, seed=0)
    held = density.held(opened.indices["validation"])
    weights = opened.params, opened.stats
    nothing = [[["invert", 0.0, 0.5], ["shear_x", 0.0, 0.5]]]
    (loss,) = density.losses(weights, held, [nothing])
    assert np.isclose(loss, predict(opened, weights, "validation")[1], rtol=1e-5)


def brightness_of(space):
    """A network's stand-in: the loss is how bright a sub-policy leaves things."""
    target = {"brighten": 0.1}

    def loss(candidate):
        steps = [step for sub in candidate for step in sub]
        wrong = sum(probability for name, probability, _ in steps if name not in target)
        return wrong + sum(abs(m - 0.1) for name, p, m in steps if name in target)

    return loss


def test_the_estimator_finds_better_candidates_than_chance():
    space, preset = Space(("fast",)), presets.preset("published")
    loss = brightness_of(space)
    told = []
    while len(told) < preset.trials:
        asked = estimator.propose(space, told, 10, preset=preset, seed=0)
        told += [(candidate, loss(candidate)) for candidate in asked]
    random = [loss([sub]) for sub in space.random(preset.trials, seed=0)]
    first = [value for _, value in told[: preset.startup]]
    last = [value for _, value in told[-40:]]
    assert np.median(last) < 0.6 * np.median(random)
    assert np.median(first) > 0.7 * np.median(random), "the start-up is random"


def test_proposals_follow_from_what_is_known_alone():
    space, preset = Space(("fast",)), presets.preset("small")
    told = [([sub], float(i)) for i, sub in enumerate(space.random(25, seed=2))]
    told[3] = (told[3][0], float("inf"))
    again = [
        estimator.propose(space, told, 4, preset=preset, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert again[0] == again[1] != again[2]
    assert len({str(one) for one in again[0]}) > 1


def test_presets_are_the_published_sizes():
    published, paper = presets.preset("published"), presets.preset("paper")
    assert (published.inner, published.trials, published.keep) == (4, 100, 5)
    assert (published.startup, published.proposals, published.found) == (20, 24, 20)
    assert (paper.inner, paper.rounds, paper.trials, paper.keep) == (5, 2, 200, 10)
    assert paper.found == 500


def test_random_sub_policies_are_of_the_same_space_and_train_nothing(
    tmp_path, monkeypatch, capsys
):
    def never(*given, **more):
        raise AssertionError("random sub-policies need no training")

    monkeypatch.setattr(policy_search, "open_experiment", never)
    out = tmp_path / "random.json"
    words = ["--config=configs/luvnet.py", f"--out={out}", "--random=20", "--crossval"]
    assert main(words) == 0
    tree = json.loads(out.read_text())
    space = Space(("fast",))
    assert sorted(tree["folds"]) == ["0", "1", "2", "3", "4"]
    assert tree["split"]["protocol"] == "rotation"
    for sub_policies in tree["folds"].values():
        assert len(sub_policies) == 20
        assert {len(sub) for sub in sub_policies} == {STAGES}
    names = [n for subs in tree["folds"].values() for sub in subs for n, _, _ in sub]
    assert {*names} == {*space.names}
    magnitudes = [m for subs in tree["folds"].values() for s in subs for _, _, m in s]
    # 200 uniform draws: a standard deviation of the mean of 0.02.
    assert abs(np.mean(magnitudes) - 0.5) < 0.1
    assert tree["folds"]["0"] != tree["folds"]["1"]
    assert "--config.augment=" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--random=0"], "--random 0: it must be 1 or more"),
        (["--at-once=0"], "--at-once 0: it must be 1 or more"),
        (["--random=5", "--config.optim.lrr=1"], "lrr"),
        (["--random=5", "lr=1"], "unexpected argument 'lr=1'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, said):
    words = ["--config=configs/luvnet.py", f"--out={tmp_path / 'p.json'}", *words]
    try:
        code = main(words)
    except SystemExit as error:
        code = error.code
    shown = capsys.readouterr().err
    assert code == 2 and said in shown and len(shown.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_masks_are_judged_as_well(opened, monkeypatch):
    """Masks move with their pixels, so that a move costs nothing."""
    spec = Spec(
        {
            "image": Field(shape=(16, 16, 1), dtype="uint8", role="pixels"),
            "mask": Field(
                shape=(16, 16, 1), dtype="uint8", role="mask", classes=("lesion",)
            ),
        }
    )
    task = Segmentation.make(spec)
    rng = np.random.default_rng(0)
    lesion = np.zeros((6, 16, 16, 1), np.uint8)
    for row, (y, x) in enumerate(rng.integers(2, 9, (6, 2))):
        lesion[row, y : y + 5, x : x + 5] = 1

    experiment = dataclasses.replace(opened, task=task)
    monkeypatch.setattr(
        "ultrasound_jax.training.steps.apply",
        lambda network, params, stats, inputs: {"logits": 20 * inputs["image"] - 10},
    )
    space = Space(("fast",))
    density = Density(experiment, space, at_once=2, seed=0)
    batch = {
        "image": jnp.asarray(lesion * 255),
        "mask": jnp.asarray(lesion),
        "index": jnp.arange(6),
    }
    moved = [[["mirror", 1.0, 0.5], ["translate_xy", 1.0, 0.2]]]
    turned_round = [[["invert", 1.0, 0.5], ["mirror", 0.0, 0.5]]]
    nothing = [[["mirror", 0.0, 0.5], ["mirror", 0.0, 0.5]]]
    low, high, base, _ = density.losses(
        ((), ()), [batch], [moved, turned_round, nothing, nothing]
    )
    assert low < 0.1 and abs(low - base) < 0.1 and high > 5


def test_a_search_says_how_far_it_is(config, tmp_path, capsys):
    run(config, tmp_path)
    shown = capsys.readouterr().out
    assert "6 of 6 candidates, lowest loss" in shown and "unchanged" in shown


def test_a_searched_policy_trains_its_own_fold_alone(config, tmp_path):
    path = tmp_path / "policy.json"
    _policy_file.write(path, run(config, tmp_path / "search"))
    config.augment = [{"name": "policy", "file": str(path)}]
    settings.complete(config)
    assert augment.build(config.augment, data=config.data).operations
    config.data.fold = 1
    with pytest.raises(AugmentError, match="searched for the folds 0"):
        augment.build(config.augment, data=config.data)


def test_the_seed_of_every_inner_search_is_its_own(opened, tmp_path):
    seeds = set()
    for fold in range(2):
        opened.config.data.fold = fold
        of_fold = policy_search.FoldSearch(opened, how(tmp_path), tmp_path, Stopwatch())
        seeds |= {of_fold._seed(child, 0) for child in range(2)}
    assert len(seeds) == 4
