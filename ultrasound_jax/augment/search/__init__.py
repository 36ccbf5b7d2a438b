"""What a search for policies proposes: the space, the presets, and Optuna's estimator.

`python -m ultrasound_jax.augment.search` starts the search itself, which trains
networks and therefore stands with all else that starts trainings, in
`study/policy_search.py`.
"""
