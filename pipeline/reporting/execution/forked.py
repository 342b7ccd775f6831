"""Who is the kernel of a chapter that was forked from the preload? A fork that waits its turn.

Reads no table and makes none. `hold` forks it before the chapter has a thread or a socket, because
later nobody may fork; `ForkingProvisioner` gives it to papermill as a kernel. The subtle points:
it is a child of the chapter's own process, so its end, its signal and its memory are told by the
system; and it shares nothing with other kernels but what was loaded before any of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from pipeline.children import (
    POLL_SECONDS,
    close_files,
    die_with_parent,
    exit_code_when_ended,
    leave,
)

PROVISIONER = "lodestar-fork"
LAUNCHER = "ipykernel_launcher"
"""The module of a kernelspec that means ipykernel, which is what a fork can be."""


class Kernel:
    """A fork of this process that becomes a kernel; as `subprocess.Popen`, for jupyter_client."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, orders: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._orders = orders

    def begin(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        """Let it become a kernel with these arguments, environment variables and folder."""
        order = {"arguments": arguments, "environment": environment, "folder": folder}
        with os.fdopen(self._orders, "wb") as orders:
            orders.write(json.dumps(order).encode())

    def poll(self) -> int | None:
        """Its exit code, or None while it runs; below 0: the signal that ended it."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended; subprocess.TimeoutExpired after `timeout` seconds."""
        return exit_code_when_ended(self.poll, timeout)

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


_held: list[Kernel] = []
"""At most one: the kernel that waits in this process's name."""


def hold() -> None:
    """Fork the kernel of this process, which waits; to be called while there is one thread."""
    reader, writer = os.pipe()
    chapter = os.getpid()
    pid = os.fork()
    if pid:
        os.close(reader)
        _held.append(Kernel(pid, writer))
        return
    os.setsid()
    die_with_parent(chapter)
    close_files([reader])
    with os.fdopen(reader, "rb") as orders:
        order = orders.read()
    if order:
        _become_kernel(**json.loads(order), parent=chapter)
    leave(0)


def _become_kernel(
    arguments: list[str], environment: dict[str, str], folder: str, parent: int
) -> None:
    """Run ipykernel as `python -m ipykernel_launcher` would; ends the process."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    os.dup2(0, 1)  # to nowhere, like its input: cells are heard by messages; a log must not fill
    _draw_anew()
    if sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]  # as the launcher does; IPython puts it back
    sys.argv = ["ipykernel_launcher", *arguments, f"--IPKernelApp.parent_handle={parent}"]
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


def _draw_anew() -> None:
    """Take fresh random states: those of a fork would be its siblings'."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


class ForkingProvisioner(LocalProvisioner):
    """Gives jupyter_client the kernel that waits, and starts one afresh where it cannot."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Let the kernel that waits begin; its connection."""
        arguments = _arguments(cmd)
        if not _held or arguments is None:
            return await super().launch_kernel(cmd, **kwargs)
        kernel, self.cwd = _held.pop(), kwargs.get("cwd") or Path.cwd()
        environment = dict(kwargs["env"]) | {"JPY_PARENT_PID": str(os.getpid())}
        kernel.begin(arguments, environment, str(self.cwd))
        self.process: Any = kernel
        self.pid = self.pgid = kernel.pid
        return self.connection_info


def _arguments(command: list[str]) -> list[str] | None:
    """What a command line gives to ipykernel; None when a fork cannot stand for it."""
    program, *words = command
    if program != sys.executable or LAUNCHER not in words:
        return None
    return words[words.index(LAUNCHER) + 1 :]


def offer(spec: KernelSpec) -> None:
    """Let this kernelspec be served by the kernel that waits, if there is one."""
    if _held:
        place = EntryPoint(PROVISIONER, f"{__name__}:{ForkingProvisioner.__name__}", "")
        KernelProvisionerFactory.instance().provisioners[PROVISIONER] = place
        spec.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER}


def end_descendants() -> None:
    """End whatever this process or its kernel started; orphans became its children."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(POLL_SECONDS)
