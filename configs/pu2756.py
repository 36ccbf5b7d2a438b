"""PU2756's classifiers of lung tumours: a network, radiomics, codes, and both mixed.

python -m ultrasound_jax.main --config configs/pu2756.py:VARIANT --mode crossval \\
    --config.data.manual_dir=DIR

DIR as ultrasound_jax/datasets/pu2756/README.md says. All variants have the same
folds of patients, so that `analysis compare` tells them apart by paired tests. The
published folds and the six diagnoses: `python -m ultrasound_jax.radiomics.classify`.
The images are not public, so there is no time and no result of theirs to tell; each
variant says what ran in its place.
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import of_variant


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What both have in common."""
    config.data.name = "pu2756"
    config.optim.name = "adam"
    config.optim.lr = 1e-4


def resnet18(config: Any) -> None:
    """ResNet-18 with a hidden layer, one logit, as published but for the selection.

    224 pixels, Adam at 1e-4 that falls to a tenth every five epochs, batches of 128,
    100 epochs. The original starts from ImageNet: `--config.init_from=FILE
    --config.init_part=encoder`. It mirrors both ways and turns by 15 degrees, ours
    mirrors one way; it is selected on a part that is never reported.
    """
    shared(config)
    config.data.options = ConfigDict({"size": 224})
    config.data.batch_size = 128
    config.task.name = "multiclass"
    config.task.options.update({"loss": "bce"})
    config.model.name = "resnet18_mlp"
    config.train.select = "macro_auroc"
    config.optim.schedule = "step"
    config.optim.step_epochs = 5
    config.augment = [
        {"name": "flip_and_rotate", "flip": 0.5, "rotate": 1.0, "degrees": 15.0},
        {"name": "brightness", "gain": 0.1, "shift": 0.1},
    ]
    config.train.epochs = 100


def autoencoder(config: Any) -> None:
    """An image to 1024 numbers and back; the numbers are features of a classifier.

    256 pixels, Adam at 1e-4, batches of 256, 200 epochs, as published.
    """
    shared(config)
    config.data.options = ConfigDict({"size": 256})
    config.data.batch_size = 256
    config.data.eval_batch_size = 64
    config.task.name = "reconstruction"
    config.model.name = "autoencoder"
    config.train.select = "mean_squared_error"
    config.optim.schedule = "constant"
    config.augment = [
        {"name": "flip_and_rotate", "flip": 0.5, "rotate": 1.0, "degrees": 15.0}
    ]
    config.train.epochs = 200


def radiomics(config: Any) -> None:
    """Boosting on 939 features of the outlined region, selected by the lasso.

    50 trials of TPE in ten inner folds of patients, as published but for the folds,
    which there are of examinations. No network is trained.

    `--config configs/pu2756.py:radiomics --mode crossval`; the same on the lesions of
    BUSI, AMD EPYC with 2 cores, three trials in five inner folds: AUROC 0.98
    (experiments/results/busi_radiomics.json).
    """
    shared(config)
    config.data.options = ConfigDict({"size": 256})
    config.radiomics.features = "radiomics"


def mix(config: Any) -> None:
    """Boosting on radiomics and the autoencoder's codes together.

    Every fold first trains an autoencoder, by the variant of that name, of the patients
    whom it does not judge; `--config.radiomics.codes=RUN` takes one that was
    cross-validated already, and `--config.radiomics.features=codes` its codes alone.

    `--config configs/pu2756.py:mix --mode crossval`, sized for a GPU. Not run to its
    end on real images; on made ones it ends in the tests.
    """
    autoencoder(config)
    config.radiomics.features = "mix"


VARIANTS = {
    "resnet18": resnet18,
    "autoencoder": autoencoder,
    "radiomics": radiomics,
    "mix": mix,
}
