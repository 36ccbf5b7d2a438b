"""LUV-Net and every network that it is compared with, each by the same protocol.

python -m ultrasound_jax.main --config configs/video_baselines.py:NAME[_SIZE]

NAME is a key of NETWORKS; the sizes are in RECIPES:

* `NAME`: the phantom, networks sized for two CPU cores;
* `NAME_tiny`: the same in seconds, to try a command;
* `NAME_pocus`: the POCUS videos at 64 pixels, networks sized for two CPU cores;
* `NAME_full`: the POCUS videos at 30 x 256 x 256, published widths, for a GPU;
* `NAME_paper`: the same clips with the original's recipe.

All but `_paper` share one protocol: the same folds, augmentation, epochs, optimiser,
schedule and selection for all networks. Only the learning rate is each network's own,
found on the validation patients of fold 0 by `--mode tune`; LEARNING_RATES has what was
found so far, and UNTUNED is used for the others.

`python experiments/luvnet_study.py` runs any of these over all folds, on these or other
datasets, and writes one report.
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import base

# C3D halves time four times, so the small clips have 16 frames as it was made for.
PHANTOM = {
    "size": 64,
    "frame_rate": 16.0,
    "patients": 48,
    "videos": 3,
    "seed": 0,
    "clip_seconds": 1.0,
    "overlap": 0.2,
    "contained": "keep",
}
TINY_PHANTOM = PHANTOM | {"size": 32, "patients": 15, "videos": 1}
POCUS = {
    "size": 64,
    "frame_rate": 16.0,
    "tail": "length",
    "clip_seconds": 1.0,
    "overlap": 0.2,
    "contained": "keep",
}
# config.model.options of each network: published, sized for two CPU cores, and tiny.
FRAMES_PUBLISHED = {"encoder": "densenet161"}
FRAMES_SMALL = {"encoder": "resnet18", "width": 16}
FRAMES_TINY = {"encoder": "resnet18", "width": 8}
LUVNET = (
    FRAMES_PUBLISHED | {"heads": 8, "kernel_size": 13},
    FRAMES_SMALL | {"heads": 8, "kernel_size": 5},
    FRAMES_TINY | {"heads": 4, "kernel_size": 3},
)
NO_TEMPORAL = (
    FRAMES_PUBLISHED | {"heads": 8},
    FRAMES_SMALL | {"heads": 8},
    FRAMES_TINY | {"heads": 4},
)
MVIT = ({}, {"width": 24}, {"width": 8})
R2PLUS1D = ({}, {"width": 8}, {"width": 4})
NETWORKS = {
    "luvnet": LUVNET,
    "luvnet_no_temporal": NO_TEMPORAL,
    "usvn": (
        FRAMES_PUBLISHED | {"heads": 8, "pooling": "attention"},
        FRAMES_SMALL | {"heads": 8, "pooling": "attention"},
        FRAMES_TINY | {"heads": 4, "pooling": "attention"},
    ),
    "cnn_lstm": (
        FRAMES_PUBLISHED,
        FRAMES_SMALL | {"embedding": 64, "hidden": 64},
        FRAMES_TINY | {"embedding": 8, "hidden": 8, "layers": 2},
    ),
    "frame_vote": (
        FRAMES_PUBLISHED | {"pooling": "mean"},
        FRAMES_SMALL | {"pooling": "mean"},
        FRAMES_TINY | {"pooling": "mean"},
    ),
    "c3d": ({}, {"width": 8}, {"width": 4}),
    "r2plus1d_18": R2PLUS1D,
    "r2plus1d_34": R2PLUS1D,
    "vivit": (
        {"heads": 3},
        {"heads": 3, "dim": 48, "depth": 2, "dim_head": 16, "patch": 8},
        {"heads": 2, "dim": 12, "depth": 1, "dim_head": 4, "patch": 8},
    ),
    "mvit_v1_b": MVIT,
    "mvit_v2_s": MVIT,
    "x3d_s": ({}, {"width": 12}, {"width": 8}),
}
PUBLISHED, SMALL, TINY = range(3)
# By suffix: the rates that tuning found; networks that are not here train with UNTUNED.
# Those of POCUS are of experiments/results/pocus_study.json: the best of four between
# 4e-4 and 7e-4, after one epoch each, so they say little more than UNTUNED does.
LEARNING_RATES: dict[str, dict[str, float]] = {
    "": {},
    "_pocus": {
        "luvnet": 6.51e-4,
        "luvnet_no_temporal": 4.13e-4,
        "usvn": 6.51e-4,
        "frame_vote": 6.51e-4,
        "cnn_lstm": 4.13e-4,
        "vivit": 5e-4,
        "c3d": 4.13e-4,
        "r2plus1d_18": 5e-4,
        "x3d_s": 5e-4,
    },
    "_full": {},
}
UNTUNED = {"": 1e-3, "_tiny": 1e-3, "_pocus": 5e-4, "_full": 1e-4}


def get_config(arg: str = "luvnet") -> Any:
    """The settings of the variant `NAME[_SIZE]`."""
    if arg not in VARIANTS:
        raise ValueError(
            f"configs/video_baselines.py has no variant '{arg}'; it has NAME, "
            f"{', '.join('NAME' + suffix for suffix in RECIPES if suffix)}, where NAME "
            f"is one of {', '.join(NETWORKS)}"
        )
    config = base()
    with config.data.unlocked():
        name, recipe = VARIANTS[arg]
        recipe(name, config)
    return config


def protocol(config: Any, name: str, suffix: str, size: int) -> None:
    """What all networks share, and the two things that they do not."""
    config.model.name = name
    config.model.options.update(NETWORKS[name][size])
    config.optim.lr = LEARNING_RATES.get(suffix, {}).get(name, UNTUNED[suffix])
    config.optim.name = "adamw"
    config.optim.weight_decay = 1e-2
    config.optim.schedule = "cosine"
    config.optim.warmup_epochs = 1.0
    config.optim.clip_norm = 1.0
    config.train.select = "macro_auroc"


def small(name: str, config: Any) -> None:
    """The embedded phantom on two CPU cores."""
    protocol(config, name, "", SMALL)
    config.data.name = "lus_phantom"
    config.data.options = ConfigDict(PHANTOM)
    config.train.epochs = 12


def tiny(name: str, config: Any) -> None:
    """The phantom in seconds: shows that it runs, and learns next to nothing."""
    protocol(config, name, "_tiny", TINY)
    config.data.name = "lus_phantom"
    config.data.options = ConfigDict(TINY_PHANTOM)
    config.data.batch_size = 4
    config.data.folds = 3
    config.train.epochs = 2
    config.tune.trials = 3
    config.evaluation.replicates = 200


def pocus(name: str, config: Any) -> None:
    """The real POCUS videos on two CPU cores; give `--config.data.manual_dir=DIR`.

    Small enough for all twelve networks, five folds and the search for each rate in
    some hours of two cores. What 64 pixels and four epochs show is that the protocol is
    the same for all; for what the networks are worth there is `_full`.
    """
    protocol(config, name, "_pocus", SMALL)
    config.data.name = "pocus"
    config.data.options = ConfigDict(POCUS)
    config.data.sampling = "patient"
    config.optim.ema = 0.98
    config.optim.warmup_epochs = 0.25
    config.train.epochs = 4
    config.tune.trials, config.tune.epochs = 4, 1
    config.tune.lr_low, config.tune.lr_high = 1e-4, 3e-3


def full(name: str, config: Any) -> None:
    """Published widths on the POCUS videos, one protocol, for a 24 GB GPU.

    Not run to its end yet, so there is no time and no result to tell.
    """
    protocol(config, name, "_full", PUBLISHED)
    large_clips(config, tail="length")
    config.data.sampling = "patient"
    config.dtype = "bfloat16"
    config.optim.ema = 0.999
    config.train.epochs = 40


def paper(name: str, config: Any) -> None:
    """The original's recipe, on the open POCUS videos: the hospital's are not public.

    Adam at 1e-6 for all networks, binary cross-entropy, four clips a step, selection by
    the validation loss. The original is not even-handed, and neither is this: LUV-Net
    has 150 epochs, patience 20 and a constant rate; the others 100 epochs, patience 30
    and a rate that a plateau lowers. USVN has the 32 heads of the original's notebooks,
    frames vote by their maximum. x3d_s is not in the original; it gets the others'
    recipe. Defects are not repeated: rotated clips keep their contrast, CNN-LSTM recurs
    over time, and validation keeps its last batch. Not run to its end yet.
    """
    config.model.name = name
    config.model.options.update(NETWORKS[name][PUBLISHED])
    large_clips(config, tail="duplicate")
    config.seed = 234
    config.data.test_fraction = 0.1
    config.optim.lr = 1e-6
    config.train.select = "loss"
    config.train.epochs, config.train.patience = 150, 20
    if not name.startswith("luvnet"):
        config.optim.schedule = "plateau"
        config.train.epochs, config.train.patience = 100, 30
    if name == "usvn":
        config.model.options.heads = 32
    if name == "frame_vote":
        config.model.options.pooling = "max"


def large_clips(config: Any, *, tail: str) -> None:
    """POCUS at 30 frames of 256 pixels, four clips a step."""
    config.data.name = "pocus"
    size = {"size": 256, "frame_rate": 30.0, "tail": tail}
    config.data.options = ConfigDict(POCUS | size)
    config.data.batch_size = 4
    config.data.eval_batch_size = 4
    config.model.remat = True


RECIPES = {"": small, "_tiny": tiny, "_pocus": pocus, "_full": full, "_paper": paper}
VARIANTS = {
    name + suffix: (name, recipe)
    for name in NETWORKS
    for suffix, recipe in RECIPES.items()
}
