"""Where arrays live: one mesh axis `data`, state everywhere, a batch split by rows."""

import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ultrasound_jax.training import lost_member
from ultrasound_jax.types import ArrayTree, UltrasoundError

HEARTBEAT_S = 20  # of silence, after which a process counts as lost


class ShardingError(UltrasoundError):
    """Devices or processes that cannot share the work as asked."""


def join(
    cluster: bool, host: str | None, processes: int | None, process: int | None
) -> None:
    """Joins the other processes: as the cluster says, as given, or not at all.

    From then on an exception that nobody catches ends the process without waiting for
    the others, which then end as well instead of waiting for this one: within
    HEARTBEAT_S, with one line and `lost_member.CODE`.

    Raises:
        ShardingError: what was given does not fit together, or its port is taken.
    """
    given = (host, processes, process)
    if not cluster and given == (None, None, None):
        return
    if not cluster and None in given:
        raise ShardingError(
            "--coordinator, --processes and --process go together; given are "
            f"{host}, {processes}, {process}. Or give --distributed alone on a cluster"
        )
    if host is not None:
        _check_coordinator(host, leads=process == 0)
    lost_member.watch()
    try:
        jax.distributed.initialize(*given, heartbeat_timeout_seconds=HEARTBEAT_S)
    except (ValueError, RuntimeError) as error:
        raise ShardingError(f"the processes cannot be joined: {error}") from error
    sys.excepthook = _leave_by_exception


def _check_coordinator(given: str, *, leads: bool) -> None:
    """Refuses what is no host:port, and in process 0 a port that another has.

    JAX would end with a segmentation fault.
    """
    host, _, port = given.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ShardingError(
            f"--coordinator={given} is not allowed: it must be HOST:PORT of process 0"
        )
    try:
        socket.getaddrinfo(host.strip("[]"), int(port))
    except OSError as error:
        raise ShardingError(
            f"--coordinator={given}: no such host: {error.strerror}"
        ) from error
    if not leads:
        return
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family) as probe:  # as JAX binds it: on all addresses
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(port)))
            probe.listen(1)
        except OSError as error:
            raise ShardingError(
                f"--coordinator={given}: port {port} cannot be used here: "
                f"{error.strerror}; give another one to all processes"
            ) from error


def leave(code: int) -> int:
    """Ends this process at once if it has joined others, else returns the exit code.

    JAX would wait up to five minutes for the others to reach their ends too, while they
    wait in the next collective for this one.
    """
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        lost_member.unwatch()
        os._exit(code)
    return code


def _leave_by_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if lost_member.is_lost(error):
        print(lost_member.SAID, file=sys.stderr)
        leave(lost_member.CODE)
    sys.__excepthook__(kind, error, trace)
    leave(1)


def data_mesh() -> Mesh:
    """All devices of all processes as one axis."""
    return Mesh(np.array(jax.devices()), ("data",))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh) -> NamedSharding:
    """Each device holds its share of the first axis."""
    return NamedSharding(mesh, PartitionSpec("data"))


def place() -> tuple[int, int]:
    """This process's number, and how many there are."""
    return jax.process_index(), jax.process_count()


def building() -> dict[str, Any]:
    """Who builds a dataset that is missing, and how the others wait for it."""

    def wait() -> None:
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("dataset built")

    return {"leads": jax.process_index() == 0, "wait": wait}


def check_batch(name: str, size: int, mesh: Mesh, *, parts: int = 1) -> None:
    """Refuses a batch of `size` rows whose micro-batches do not fill all devices."""
    devices = mesh.devices.size
    if size % (devices * parts):
        raise ShardingError(
            f"{name}={size} cannot be split over {devices} devices"
            + (f" in {parts} micro-batches" if parts > 1 else "")
            + f": it must be a multiple of {devices * parts}"
        )


def to_device(rows: Mapping[str, Any], mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this process's rows of a batch on its devices, without waiting."""
    sharding = by_rows(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in rows.items()
    }


def replicate(tree: ArrayTree, mesh: Mesh) -> ArrayTree:
    """Puts a copy of each array on every device, in buffers of its own."""
    sharding = replicated(mesh)

    def put(array: jax.Array | np.ndarray) -> jax.Array:
        host = np.asarray(array)
        return jax.make_array_from_callback(
            host.shape, sharding, lambda index: host[index].copy()
        )

    return jax.tree.map(put, tree)


def ahead(
    batches: Iterable[tuple[Any, Any]], mesh: Mesh, size: int = 2
) -> Iterator[tuple[dict[str, jax.Array], tuple[Any, Any]]]:
    """Each `(rows, note)` with the rows on the device, `size` under way."""
    waiting: list[Any] = []
    for rows, note in batches:
        waiting.append((to_device(dict(rows), mesh), (rows, note)))
        if len(waiting) >= size:
            yield waiting.pop(0)
    yield from waiting
