"""Radiomics: numbers on an outlined region, and classifiers that stand on them."""

from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.extract import Settings, extract

__all__ = ["RadiomicsError", "Settings", "extract"]
