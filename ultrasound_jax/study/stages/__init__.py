"""A segmentation's regions, classified: `python -m ultrasound_jax.predict.stages`."""
