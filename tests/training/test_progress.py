from ultrasound_jax.training.progress import Progress


def test_training_stops_after_patience_epochs_without_a_better_one(tiny_config):
    tiny_config.train.patience = 2
    progress = Progress.begin(tiny_config)
    judged = [
        progress.judge(step, {"loss": 1.0, "macro_auroc": auroc})
        for step, auroc in enumerate([0.5, 0.6, 0.6, 0.55], start=1)
    ]
    assert judged == [True, True, False, False]
    assert progress.best_step == 2
    assert progress.stopped


def test_without_patience_it_never_stops(tiny_config):
    progress = Progress.begin(tiny_config)
    for step in range(1, 50):
        progress.judge(step, {"loss": 1.0, "macro_auroc": 0.5})
    assert not progress.stopped


def test_the_loss_selects_where_it_is_asked_to_or_nothing_else_is_defined(tiny_config):
    tiny_config.train.select = "loss"
    progress = Progress.begin(tiny_config)
    assert progress.judge(1, {"loss": 1.0, "macro_auroc": 0.9})
    assert progress.judge(2, {"loss": 0.5, "macro_auroc": 0.1})
    tiny_config.train.select = "macro_auroc"
    progress = Progress.begin(tiny_config)
    assert progress.judge(1, {"loss": 1.0})
    assert progress.judge(2, {"loss": 0.5})


def test_what_is_saved_comes_back(tiny_config):
    tiny_config.optim.schedule = "plateau"
    progress = Progress.begin(tiny_config)
    for step in range(1, 8):
        progress.judge(step, {"loss": 1.0, "macro_auroc": 0.5})
    assert progress.rate_scale < 1
    assert Progress.from_json(progress.to_json(), tiny_config) == progress


def test_a_number_of_which_less_is_better_is_selected_so(tiny_config):
    tiny_config.train.select = "distance"
    progress = Progress.begin(tiny_config, sign=-1)
    judged = [
        progress.judge(step, {"loss": 1.0, "distance": away})
        for step, away in enumerate([3.0, 2.0, 2.5], start=1)
    ]
    assert judged == [True, True, False]
