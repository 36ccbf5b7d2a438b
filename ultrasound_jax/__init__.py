"""Clinical ultrasound, from DICOM files to published numbers, in JAX."""

from ultrasound_jax.runs.kept_memory import keep_memory

keep_memory()  # first of all: a second thread would have a heap of its own
