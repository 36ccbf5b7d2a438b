"""An opened experiment made ready to train, outside the loop."""

from ultrasound_jax import augment
from ultrasound_jax.data.dataset import training_batches
from ultrasound_jax.training import compiled, optim


def begin(opened):
    """Its plan, first state, compiled step and batches on the host."""
    config, places = opened.config, opened.indices["train"]
    plan = optim.make_plan(config, len(places))
    state = compiled.initial_state(opened, plan.optimizer)
    step = compiled.train_step(
        opened,
        plan.optimizer,
        state,
        augment=augment.build(config.augment),
        say=lambda line: None,
    )
    batches = training_batches(opened.source, places, config.data, seed=config.seed)
    return plan, state, step, batches
