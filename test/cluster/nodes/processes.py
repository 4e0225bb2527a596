# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive the command that started them, each known by the file with its id."""

import os
import pathlib
import signal
import subprocess
import time


def _start_time(pid):
    """When the kernel started the process, which tells it from a later one with the same id."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


class Process:
    """`name` within `directory`: NAME.pid and NAME.log."""

    def __init__(self, directory, name):
        self.file = pathlib.Path(directory) / f"{name}.pid"
        self.log = pathlib.Path(directory) / f"{name}.log"

    def pid(self):
        """The id of the running process, or None."""
        try:
            pid, started = self.file.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _start_time(pid) == started else None

    def since(self):
        """When it was started, in seconds since 1970; infinity if it does not run."""
        return self.file.stat().st_mtime if self.pid() else float("inf")

    def start(self, command, environment=None):
        """Starts it in a session of its own, unless it runs."""
        if self.pid():
            return
        with self.log.open("ab") as log:
            # pylint: disable-next=consider-using-with  # it outlives this program
            child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True, env={**os.environ, **(environment or {})})
        self.file.write_text(f"{child.pid} {_start_time(child.pid)}\n")

    def end(self, sent=signal.SIGTERM, seconds=20):
        """Ends it, in the end by SIGKILL."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, sent)
        deadline = time.monotonic() + seconds
        while self.pid():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
            try:  # where it is a child of this process
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
        self.file.unlink(missing_ok=True)
