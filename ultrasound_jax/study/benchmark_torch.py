"""Each network's train and eval step beside its PyTorch re-statement.

The re-statements are the tests' (`tests/models/torch_networks.py`), so this needs a
checkout and PyTorch, `pip install "ultrasound-jax[torch]"`. Both sides get the same
bytes, loss and optimiser (AdamW), with neither augmentation nor averaged weights, and
turn grey bytes into ImageNet's three channels within the step; ours folds that into the
first kernel. They take turns in one process; both have as many parameters, or it is an
error.
"""

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ultrasound_jax import augment, models
from ultrasound_jax import config as settings
from ultrasound_jax.experiment import make_network, network_settings
from ultrasound_jax.study import shipped
from ultrasound_jax.training import compiled, optim, sharding, steps
from ultrasound_jax.types import Settings, UltrasoundError

WAYS = ("eager", "channels_last", "compiled")
SIZES = {"tiny": "_tiny", "small": "", "published": "_full"}
# The networks of masks with what makes them small; published ones have no options.
SEGMENTERS = {
    "unet": {"width": 12, "depth": 4},
    "mednext": {"width": 8},
    "fusionlungnet": {"width": 8},
    "breast_segnet": {"kernel_size": 3, "skips": True},
}
IMAGES = {
    "resnet18": "configs/busi.py:",
    **dict.fromkeys(SEGMENTERS, "configs/busi.py:segment"),
}
NETWORKS = "tests.models.torch_networks"
ENDS_PROCESS = ("mednext",)  # with channels last: "free(): invalid next size"


class TorchBenchError(UltrasoundError):
    """PyTorch or the re-statements are not there, or are another network."""


def names() -> list[str]:
    """The networks that have a re-statement."""
    return [*shipped.networks(), *IMAGES]


def config_of(name: str, size: str) -> Settings:
    """The shipped settings of a network, less what PyTorch's side does not do."""
    file = IMAGES.get(name) or f"configs/video_baselines.py:{name}{SIZES[size]}"
    config = settings.load(file)
    if name in SEGMENTERS:
        small = {} if size == "published" else SEGMENTERS[name]
        config.model.name, config.model.options = name, dict(small)
        config.task.options = {"cross_entropy": 1.0, "dice": 0.0}
    config.augment = []
    config.optim.name, config.optim.ema, config.optim.clip_norm = "adamw", 0.0, 0.0
    config.model.remat = False
    return config


def bench(
    networks: Sequence[str],
    *,
    size: str,
    ways: Sequence[str],
    repeats: int,
    minutes: float,
    batch: int | None = None,
    say: Callable[[str], object] = print,
) -> dict[str, Any]:
    """By network: milliseconds of ours and of each way, and the ratios to ours.

    A network or way that fails is recorded with its reason; networks for which no time
    is left are listed in `left_out`.
    """
    torch, restated = _modules()
    ends = time.monotonic() + 60 * minutes
    found: dict[str, Any] = {}
    left: list[str] = []
    for name in networks:
        if time.monotonic() > ends:
            left.append(name)
            continue
        try:
            config = config_of(name, size)
            if batch:
                config.data.batch_size = config.data.eval_batch_size = batch
            found[name] = _one(torch, restated, config, ways, repeats)
        except Exception as error:  # one network's failure is not the others'
            found[name] = {"failed": _line(error)}
        say(f"torch.{name} {told(found[name])}")
    return {"networks": found, "left_out": left}


def told(found: dict[str, Any]) -> str:
    """One network in a line."""
    if "failed" in found:
        return f"failed: {found['failed']}"
    words = []
    for part in ("train", "eval"):
        ours = found[part]["ours_ms"]
        others = [
            f"{way} {of['ratio_to_ours']:.2f}x"
            if "ratio_to_ours" in of
            else f"no {way}"
            for way, of in found[part].items()
            if isinstance(of, dict)
        ]
        words.append(f"{part} {ours:.1f} ms, PyTorch {', '.join(others)}")
    return "; ".join(words)


def _modules() -> tuple[Any, Any]:
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise TorchBenchError(
            'PyTorch is not installed; pip install "ultrasound-jax[torch]"'
        ) from error
    try:
        return torch, importlib.import_module(NETWORKS)
    except ImportError as error:
        raise TorchBenchError(
            f"{NETWORKS} is not there: run this in the project's checkout ({error})"
        ) from error


def _one(
    torch: Any, restated: Any, config: Settings, ways: Sequence[str], repeats: int
) -> dict[str, Any]:
    ours = OurSteps(config)
    calls = {"train": {"ours": ours.train}, "eval": {"ours": ours.evaluate}}
    failed: dict[str, str] = {}
    for way in ways:
        try:
            theirs = TorchSteps(torch, restated, config, ours, way)
            for part, call in (("train", theirs.train), ("eval", theirs.evaluate)):
                call()
                calls[part][way] = call
        except TorchBenchError:
            raise
        except Exception as error:  # e.g. no C++ compiler for torch.compile
            failed[way] = _line(error)
    found: dict[str, Any] = {
        "parameters": ours.parameters,
        "train_rows": config.data.batch_size,
        "eval_rows": config.data.eval_batch_size,
        "dtype": config.dtype,
    }
    for part, by_way in calls.items():
        wall, cpu = interleaved(by_way, repeats)
        figures: dict[str, Any] = {"ours_ms": 1e3 * wall["ours"]}
        figures["ours_cpu_ms"] = 1e3 * cpu["ours"]
        for way in ways:
            if way not in by_way:
                figures[way] = {"failed": failed[way]}
                continue
            figures[way] = {
                "ms": 1e3 * wall[way],
                "cpu_ms": 1e3 * cpu[way],
                "ratio_to_ours": wall[way] / wall["ours"],
                "cpu_ratio_to_ours": cpu[way] / cpu["ours"],
            }
        found[part] = figures
    return found


def interleaved(
    calls: dict[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The median wall and CPU seconds of each, in turns, after two uncounted calls."""
    for call in calls.values():
        call()
        call()
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            spent[name].append(taken)
    medians = {name: np.median(both, axis=0) for name, both in spent.items()}
    return tuple({n: float(m[i]) for n, m in medians.items()} for i in range(2))  # type: ignore[return-value]


class OurSteps:
    """The program's own steps on one batch of noise."""

    def __init__(self, config: Settings) -> None:
        self.config, self.task = config, shipped.task_of(config)
        about = network_settings(config)
        model = jax.jit(lambda: nnx.state(make_network(about, self.task, seed=0)))
        experiment = shipped.abstract(config)
        values = model()
        params, stats = nnx.split_state(values, nnx.Param, ...)
        plan = optim.make_plan(config, config.data.batch_size)
        state = steps.init_state(params, stats, plan.optimizer, averaged=False)
        mesh = experiment.mesh
        self._state = sharding.replicate(state, mesh)
        train = steps.make_train_step(
            experiment.network,
            self.task,
            plan.optimizer,
            augment=augment.build([]),
            seed=0,
        )
        self.rows = rows_of_noise(config, config.data.batch_size)
        self.eval_rows = rows_of_noise(config, config.data.eval_batch_size)
        self._batch = sharding.to_device(self.rows, mesh)
        self._eval_batch = sharding.to_device(self.eval_rows, mesh)
        self._train = steps.compile_train_step(train, self._state, self._batch, mesh)
        weights = sharding.replicate((params, stats), mesh)
        evaluate = steps.make_eval_step(experiment.network, self.task)
        shapes = compiled.batch_shapes(
            self.task.spec.shapes(), config.data.eval_batch_size
        )
        self._weights = weights
        self._eval = steps.compile_eval_step(evaluate, weights, shapes, mesh)
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(params))

    def train(self) -> float:
        """Makes one step; the loss."""
        self._state, terms = self._train(self._state, self._batch, jnp.float32(1))
        return float(jax.block_until_ready(terms)["loss"])

    def evaluate(self) -> Any:
        """Judges one batch."""
        return jax.block_until_ready(self._eval(*self._weights, self._eval_batch))


def rows_of_noise(config: Settings, count: int) -> dict[str, np.ndarray]:
    """A batch as it leaves the reader, of random bytes and labels."""
    rng = np.random.default_rng(0)
    spec = shipped.task_of(config).spec
    rows = spec.empty(count)
    for name, role in spec.roles.items():
        high = {"pixels": 256}.get(role, 2)
        drawn = rng.integers(0, high, rows[name].shape)
        if role == "labels" and config.task.name == "multiclass":
            drawn = np.eye(drawn.shape[1], dtype=int)[rng.integers(0, 3, count)]
        rows[name] = drawn.astype(rows[name].dtype)
        if spec[name].padded:
            rows[f"{name}_length"][:] = spec[name].longest
    rows["index"] = np.arange(count, dtype=np.int32)
    return rows


class TorchSteps:
    """The same steps with `torch`, one of WAYS."""

    def __init__(
        self, torch: Any, restated: Any, config: Settings, ours: OurSteps, way: str
    ) -> None:
        self.torch, self.config = torch, config
        on_gpu = jax.default_backend() == "gpu" and torch.cuda.is_available()
        if jax.default_backend() == "gpu" and not on_gpu:
            raise TorchBenchError("JAX has a GPU here and this PyTorch has none")
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.half = config.dtype == "bfloat16"
        task = ours.task
        pixels = task.spec.of_role("pixels")[0]
        *shape, _ = task.spec[pixels].batch_shape(pixels)
        model, self.channels_last = restated.build(
            config.model.name,
            tuple(shape),
            task.outputs,
            config.model.options.to_dict(),
        )
        count = sum(value.numel() for value in model.parameters())
        if count != ours.parameters:
            raise TorchBenchError(
                f"{config.model.name}: PyTorch's has {count:,} parameters, ours "
                f"{ours.parameters:,}"
            )
        model = model.to(self.device)
        self.packed = way != "eager"
        if self.packed and config.model.name in ENDS_PROCESS:
            raise RuntimeError(
                "PyTorch 2.13.0 dies in its backward pass, channels last"
            )
        if way == "channels_last":
            of_clips = any(value.ndim == 5 for value in model.parameters())
            kind = torch.channels_last_3d if of_clips else torch.channels_last
            model = model.to(memory_format=kind)
        self.model = model
        self.call = torch.compile(model) if way == "compiled" else model
        self.optimizer = torch.optim.AdamW(
            model.parameters(), config.optim.lr, weight_decay=config.optim.weight_decay
        )
        self.rows, self.eval_rows = (
            {name: torch.from_numpy(rows[name]).to(self.device) for name in rows}
            for rows in (ours.rows, ours.eval_rows)
        )
        self.pixels = pixels
        self.target = task.spec.of_role("mask") or ("labels",)

    def _inputs(self, rows: dict[str, Any]) -> Any:
        grey = rows[self.pixels].float() / 255
        model = self.config.model
        pixels = models.normalisation(model.name, **model.options.to_dict())
        mean, std = (self.torch.tensor(v, device=self.device) for v in pixels)
        colour = (grey - mean) / std
        if self.channels_last:
            return colour
        moved = colour.movedim(-1, -3)
        if self.packed:
            return moved
        # Of one channel `contiguous` would keep the strides of channels last.
        return moved.clone(memory_format=self.torch.contiguous_format)

    def _loss(self, rows: dict[str, Any]) -> Any:
        outputs = self.call(self._inputs(rows))
        logits = outputs["logits"].float()
        target, functional = rows[self.target[0]], self.torch.nn.functional
        if self.config.task.name == "multiclass":
            return functional.cross_entropy(logits, target.argmax(1))
        entropy, target = functional.binary_cross_entropy_with_logits, target.float()
        heads = [outputs[name] for name in outputs if name.startswith("head")]
        if not heads:
            return entropy(logits, target)
        size = target.shape[1:3]
        moved = [head.float().movedim(-1, 1) for head in heads]
        large = [functional.interpolate(x, size, mode="bilinear") for x in moved]
        return sum(entropy(x.movedim(1, -1), target) for x in large) / len(large)

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        kind = self.torch.bfloat16
        with self.torch.autocast(self.device.type, kind, enabled=self.half):
            yield

    def train(self) -> float:
        """Makes one step; the loss."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            loss = self._loss(self.rows)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def evaluate(self) -> Any:
        """Judges one batch."""
        self.model.eval()
        with self.torch.no_grad(), self._precision():
            logits = self.call(self._inputs(self.eval_rows))["logits"]
            return logits.float().sigmoid().cpu()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
