# SPDX-License-Identifier: Apache-2.0
"""The API server (test/cluster/apiserver) beside a test kernel that is measured."""
import contextlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


@contextlib.contextmanager
def running(directory):
    """It answers from here on; its files are in `directory`, which must exist. It ends with the block."""
    with open(f"{directory}/log", "w", encoding="utf-8") as log:
        # Lowest priority: it shares the host's CPUs with the test kernel.
        server = subprocess.Popen(["nice", "-n", "19", f"{HERE}/../cluster/apiserver", directory], stdout=log,
                                  stderr=log)
    try:
        _wait(server, directory)
        yield
    finally:
        server.terminate()
        server.wait()
        with contextlib.suppress(FileNotFoundError):
            os.remove(f"{directory}/env")


def _wait(server, directory):
    while not os.path.exists(f"{directory}/env"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.2)
            with open(f"{directory}/log", encoding="utf-8") as log:
                sys.exit(f"{os.path.basename(sys.argv[0])}: the API server ended: {log.read()[-2000:]}")
