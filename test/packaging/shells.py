# SPDX-License-Identifier: Apache-2.0
"""What bash, zsh and fish offer at the end of a line, with the completions of a directory."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time

BASH = """
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }  # only there while a line is edited
_kube_ipvs
printf '%s\\n' "${COMPREPLY[@]}"
"""

# A real line editor, on a terminal of its own: it lists what Tab would offer.
ZSH = """PROMPT=; fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=10000; bindkey '^I' list-choices; \
echo rea\"\"dy
"""


def output_of(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True).stdout


def completed_by_bash(completions, line):
    # As readline cuts a line into words.
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line.endswith(" ") else [])
    return output_of("bash", "-c", BASH, "bash", f"{completions}/kube-ipvs.bash", *words).split()


def completed_by_fish(completions, line):
    said = output_of("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]",
                     f"{completions}/kube-ipvs.fish", line)
    return [word.split("\t")[0] for word in said.splitlines()]


def completed_by_zsh(completions, line):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(f"{completions}/kube-ipvs.zsh", f"{directory}/_kube-ipvs")
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb"})
        try:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 500, 200, 0, 0))
            os.write(terminal, (ZSH % directory).encode())
            read_until(terminal, "ready")
            os.write(terminal, (line + "\t").encode())
            # It writes the list, and then the line again; it would write no list if there was more to read.
            return re.split(r"[\s\x07]+", read_until(terminal, f"\n{line}"))
        finally:
            os.close(terminal)  # which ends the shell
            os.waitpid(pid, 0)


def read_until(terminal, mark):
    text, deadline = "", time.monotonic() + 30
    while mark not in text:
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"in 30 s no {mark}: {text!r}")
        text += os.read(terminal, 65536).decode()
    return text


SHELLS = {"bash": completed_by_bash, "zsh": completed_by_zsh, "fish": completed_by_fish}
