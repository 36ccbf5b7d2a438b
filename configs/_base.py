"""Every setting there is, with what it means; experiments change values, never keys.

Sizes are in examples, frames or pixels, times in seconds, unless a comment says so.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict


def of_variant(
    file: str, variants: Mapping[str, Callable[[Any], None]], arg: str
) -> Any:
    """The settings after `variants[arg]` changed them; `file` is the caller's own.

    Raises:
        ValueError: there is no such variant.
    """
    if arg not in variants:
        known = ", ".join(f"'{name}'" for name in variants)
        raise ValueError(
            f"configs/{Path(file).name} has no variant '{arg}'; it has {known}"
        )
    config = base()
    with config.data.unlocked():
        variants[arg](config)
    return config


def base() -> Any:
    """The defaults, locked: an experiment that misspells a key fails."""
    config: Any = ConfigDict()
    config.seed = 0  # of initialisation, batch order, dropout and augmentation
    config.dtype = "float32"  # of computation: float32 | bfloat16; weights stay float32
    config.init_from = ""  # weights to start from: a run, or .safetensors (PyTorch)
    config.init_part = "all"  # what to take from it: all | encoder
    config.compilation_cache = "~/.cache/ultrasound_jax/xla"  # "" compiles anew
    config.memory_limit_gb = 0.0  # a step over this is refused; 0 asks the device

    data: Any = ConfigDict()
    config.data = data
    data.name = "lus_phantom"  # folder in ultrasound_jax/datasets
    data.options = ConfigDict()  # the builder's own: experiments name them all
    data.data_dir = ""  # where built datasets lie; "" is TFDS's own default
    data.manual_dir = ""  # where the original files lie, if the builder needs them
    # The window that the step puts int16 pixels through: a width of 0 is the one that
    # the dataset declares, and all that pixels of 8 bits may have.
    data.hu_centre = 0.0  # Hounsfield units
    data.hu_width = 0.0
    data.manifest = ""  # splits to use; "" computes them from the seed below
    data.manifest_out = ""  # also write the splits here; the run always has them
    data.split_seed = 0  # of the computed splits
    data.test_fraction = 0.2  # of the patients, held out
    data.folds = 5  # of the rest
    data.fold = 0  # the one to validate on; in a rotation, to test on
    data.protocol = "holdout"  # holdout | rotation (what --mode crossval does)
    data.batch_size = 8  # examples a step, over all devices
    data.eval_batch_size = 16
    data.sampling = (
        "uniform"  # uniform | balanced (rare classes) | patient (each alike)
    )
    data.threads = 2  # that read records
    data.prefetch = 4  # batches ready before they are asked for

    model: Any = ConfigDict()
    config.model = model
    model.name = "luvnet"  # of ultrasound_jax/models, or your own package.module:Class
    # The network's own, with its defaults where an experiment leaves them out; one that
    # it does not have is refused with the list of those that it has.
    model.options = ConfigDict()
    model.remat = False  # recompute activations in the backward pass to save memory

    task: Any = ConfigDict()
    config.task = task
    task.name = "multilabel"  # file in ultrasound_jax/tasks, or package.module:Class
    task.options = ConfigDict()  # the task's own, with its defaults where left out

    # Operations on the training batch, one after the other: each a file of
    # ultrasound_jax/augment or of its primitives, or package.module:function, with its
    # options (docs/augmentation.md). [] for none.
    config.augment = [
        {
            "name": "flip_and_rotate",
            "flip": 0.5,  # probability of a left-right mirror
            "rotate": 0.5,  # probability of a rotation
            "degrees": 10.0,  # the rotation is uniform in [-degrees, degrees]
        }
    ]

    optim: Any = ConfigDict()
    config.optim = optim
    optim.name = "adam"  # adam | adamw | sgd
    optim.lr = 1e-3
    optim.encoder_rate = 1.0  # the encoder's, as a share of lr; 0 keeps its weights
    # So many of the encoder's first stages stay as they are, weights and norms alike,
    # and cost no gradient; -1 is the whole encoder (docs/pretrained.md).
    optim.frozen_stages = 0
    optim.frozen_norms = False  # the encoder's normalise as its weights were trained
    optim.momentum = 0.9  # of sgd
    optim.weight_decay = 0.0  # of adamw, decoupled; not on norms and biases
    # constant | cosine (to 0) | step | plateau (on validation loss)
    optim.schedule = "constant"
    optim.warmup_epochs = 0.0  # linear, before the schedule
    optim.step_epochs = 7  # between the steps; PyTorch's StepLR
    optim.step_factor = 0.1  # that each step multiplies the rate with
    optim.plateau_factor = 0.1
    optim.plateau_patience = 3  # evaluations without a lower validation loss
    optim.clip_norm = 0.0  # of the whole gradient; 0 is off
    optim.accumulate = 1  # micro-batches a step; batch_size is their sum
    optim.ema = 0.0  # decay of the averaged weights that are evaluated; 0 is off

    train: Any = ConfigDict()
    config.train = train
    train.epochs = 10
    train.patience = 0  # epochs without a better validation before stopping; 0 is off
    train.crop = 0  # side of random squares that a step sees; 0 is the whole picture
    train.select = "macro_auroc"  # what "better" means: of the task, or loss
    train.log_every = 10  # steps between fetched training scalars
    train.save_every = 200  # steps between saves within an epoch; epochs always save

    probe: Any = ConfigDict()
    config.probe = probe  # what --mode probe does; no other mode reads it
    probe.frames = 3  # of a clip, evenly spaced, whose features are averaged
    # Inverse strengths of the penalty, of which inner folds choose.
    probe.c = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]

    radiomics: Any = ConfigDict()
    # What --mode crossval does in place of training a network; "" trains one.
    config.radiomics = radiomics
    radiomics.features = ""  # radiomics (of outlined regions) | codes | mix (of both)
    # Whose codes: a cross-validation of an autoencoder, a .csv or .npz; "" cross-
    # validates the configured network first, which must return `code`.
    radiomics.codes = ""
    radiomics.classifier = "boosting"  # boosting | forest | svm | xgboost
    radiomics.selection = ""  # of features; "" is lasso, none of codes alone
    radiomics.trials = 50  # of the search in a fold; 0 searches nothing
    radiomics.inner = 10  # folds of the search, over training patients
    radiomics.bin_width = 25.0  # of grey levels
    radiomics.processes = 1  # that measure

    tune: Any = ConfigDict()
    config.tune = tune  # what --mode tune does; no other mode reads it
    tune.what = "lr"  # lr | lr_and_weight_decay
    tune.trials = 16  # in all, pruned ones included
    tune.epochs = 0  # of a trial, with its whole schedule; 0 is train.epochs
    tune.lr_low = 1e-5
    tune.lr_high = 1e-2
    tune.weight_decay_low = 1e-4
    tune.weight_decay_high = 1e-1

    evaluation: Any = ConfigDict()
    config.evaluation = evaluation
    evaluation.replicates = 2000  # of the bootstrap over patients
    # Logits are the mean of a picture's and of its mirror image's, at twice the price;
    # masks are mirrored back before. For where left and right mean nothing.
    evaluation.mirrored = False
    evaluation.upside_down = False  # the same, upside down; both are four views
    # Pictures are answered in overlapping squares of this side, blended where they
    # overlap; 0 answers each as a whole. Of masks only.
    evaluation.window = 0
    evaluation.overlap = 0.5  # of neighbouring squares, as a share of their side
    evaluation.mask_file = "png"  # png | tif: how found masks are written
    config.lock()
    model.options.unlock()
    task.options.unlock()
    return config
