# SPDX-License-Identifier: Apache-2.0
#
# What tests say, wait for and need.
import re
import subprocess
import time

from namespace import HOME


def show(*words):
    """For people who read the results, test passed or not."""
    print("shown:", *words, flush=True)


def screen(lab, *words):
    """A question on the node, shown with its answer: (exit code, what it prints)."""
    code, text = lab.agent.ask(*words)
    show("$ kube-ipvs", *words)
    for line in text.splitlines():
        show(" ", line)
    return code, text


def wait_until(what, seconds, condition):
    """Until condition() is true, and does not raise. Says what did not happen, and the last error."""
    deadline, pause, reason = time.monotonic() + seconds, 0.02, ""
    while True:
        try:
            if condition():
                return
            reason = ""
        except (AssertionError, OSError, subprocess.CalledProcessError) as error:
            reason = f": {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds} s it did not happen that {what}{reason}")
        time.sleep(pause)
        pause = 0.1  # asking takes the CPU from what is waited for


def holds_for(seconds, condition):
    """condition() is true for that long, asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition()
        time.sleep(0.2)


def matches(pattern, text):
    """A line of the text has the regular expression."""
    return re.search(pattern, text, re.MULTILINE) is not None


def load_module(name):
    with HOME:
        subprocess.run(["modprobe", name], check=True)
