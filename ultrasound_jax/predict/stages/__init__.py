"""Two stages: what a segmentation finds, and what a classifier says of it.

`python -m ultrasound_jax.predict.stages` trains and compares them (`__main__.py`),
`two_stage` uses both on one new image.
"""

from ultrasound_jax.predict.stages.two_stage import TwoStage, two_stage

__all__ = ["TwoStage", "two_stage"]
