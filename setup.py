"""Puts the shipped configurations into the package; all else is in pyproject.toml.

`configs/` stands at the top of the repository, where one looks for it. Installed, it
is `ultrasound_jax/configs`, so that no package called `configs` lies beside others'.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ultrasound_jax*"]), "ultrasound_jax.configs"],
    package_dir={"ultrasound_jax.configs": "configs"},
)
