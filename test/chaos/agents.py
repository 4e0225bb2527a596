# SPDX-License-Identifier: Apache-2.0
#
# The agent: started, killed, upgraded in the order of maxSurge (the new one starts, then the old one ends), short of
# memory, and with small netlink buffers. All of them are in one control group, and each has a log of its own.
import ctypes
import os
import signal
import struct
import subprocess
import time

from checks import wait_until

GROUP = "/sys/fs/cgroup/chaos"
LIMITS = "/proc/sys/net/core"
SMALL = 16384  # bytes
SHORT_OF_MEMORY = 3  # seconds
SETSOCKOPT, SO_SNDBUFFORCE, SO_RCVBUFFORCE = 54, 32, 33  # x86-64's, as the test kernel is
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


class Running:
    def __init__(self, name, pid, log):
        self.name, self.pid, self.log, self.complete_since = name, pid, log, None

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Agents:
    def __init__(self, lab, cluster, programs, tell):
        self.lab, self.cluster, self.programs, self.tell = lab, cluster, programs, tell
        self.running, self.count, self.program = [], 0, programs[0]
        self.due = []  # (time, what to do)
        self.deaths = []  # those that nobody has caused
        os.makedirs(GROUP, exist_ok=True)
        with open(f"{GROUP}/../cgroup.subtree_control", "w", encoding="ascii") as file:
            file.write("+memory")
        self.limits = {name: read(f"{LIMITS}/{name}") for name in ("rmem_default", "rmem_max", "wmem_max")}

    # --- one agent ---

    def start(self, small_buffers=False):
        self.count += 1
        name, log = f"agent-{self.count}", f"{self.lab.directory}/agent-{self.count}.log"
        command = [self.program, *self._flags()]
        open(log, "wb").close()  # able_since() may read it before the process writes
        with self.lab.node.namespace:
            pid = os.fork()
            if pid == 0:
                become(command, log, small_buffers)
        self.lab.processes[name] = pid
        self.running.append(Running(name, pid, log))
        self.tell(f"{name} starts{' with small buffers' if small_buffers else ''}")

    def _flags(self):
        return (*self.cluster.source, "--hostname-override", "node", "--ipvs-sync-period", "1s", *self.cluster.flags)

    def _end(self, agent, number):
        self.running.remove(agent)
        self.lab.stop(agent.name, number)

    def able_since(self):
        """Since when one has had its table complete; None: none has."""
        for agent in self.running:
            if agent.complete_since is None and "Table complete" in agent.text():
                agent.complete_since = time.monotonic()
        times = [agent.complete_since for agent in self.running if agent.complete_since is not None]
        return min(times) if times else None

    def restart_is_needless(self):
        """What a fresh agent finds to do, "" if nothing."""
        for agent in list(self.running):
            self._end(agent, signal.SIGTERM)
        with self.lab.node.namespace:
            plan = subprocess.run([self.program, "plan", "--against-kernel", *self._flags()], text=True,
                                  capture_output=True)
        self.start()
        wait_until("the agent completes its table", 60, self.able_since)
        complete = [line for line in self.running[0].text().splitlines() if "Table complete" in line][-1]
        if " operations=0 " in complete:
            return ""
        return f"{complete}\n    plan: {plan.stdout.strip()} {plan.stderr[-500:]}"

    # --- events ---

    def busy(self):
        return bool(self.due) or not self.running

    def go_on(self, now):
        for each in [each for each in self.due if each[0] <= now]:
            self.due.remove(each)
            each[1]()
        for agent in list(self.running):
            pid, status = os.waitpid(agent.pid, os.WNOHANG)
            if pid == agent.pid:
                self.running.remove(agent)
                del self.lab.processes[agent.name]
                self.deaths.append(f"{agent.name} ended by itself ({os.waitstatus_to_exitcode(status)}): "
                                   f"{agent.text()[-600:]}")
                self.tell(self.deaths[-1])
        if not self.running and not self.due:
            self._after(1, self.start)

    def _after(self, seconds, work):
        self.due.append((time.monotonic() + seconds, work))

    def kill(self, pause, small_buffers=False):
        """The eldest. Where a newer one waits already, it takes over; else the next starts after the pause."""
        if self.running:
            self._end(self.running[0], signal.SIGKILL)
        if not self.running and not self.due:
            self._after(pause, lambda: self.start(small_buffers))

    def upgrade(self, delay):
        if len(self.running) != 1:
            return
        old = self.running[0]
        self.program = self.programs[self.count % len(self.programs)]
        self.start()
        self._after(delay, lambda: old in self.running and self._end(old, signal.SIGTERM))

    def memory(self, how):
        if how == "short":
            self._limit("memory.high", int(int(read(f"{GROUP}/memory.current")) * 0.8))
            self._after(SHORT_OF_MEMORY, lambda: self._limit("memory.high", "max"))
            return
        self._limit("memory.max", 1 << 20)
        for agent in list(self.running):
            os.kill(agent.pid, signal.SIGCONT)
            try:
                wait_until("the kernel kills it", 3, lambda: os.waitid(os.P_PID, agent.pid, os.WEXITED | os.WNOHANG
                                                                       | os.WNOWAIT))
            except AssertionError:
                pass  # it needed no page
            self._end(agent, signal.SIGKILL)
        self._limit("memory.max", "max")
        self._after(0.2, self.start)

    def buffers(self, seconds):
        """The next agent's netlink buffers are small, for so long. (SO_RCVBUFFORCE fails, as without CAP_NET_ADMIN in
        the first user namespace.)"""
        if self.due:
            return
        for name in self.limits:
            write(f"{LIMITS}/{name}", SMALL)
        self.kill(0, small_buffers=True)

        def end():
            for name, value in self.limits.items():
                write(f"{LIMITS}/{name}", value)
            self.kill(0)
        self._after(seconds, end)

    def storm(self, count):
        """The agent gets no CPU while addresses come and go by the hundred."""
        for agent in self.running:
            os.kill(agent.pid, signal.SIGSTOP)
        try:
            addresses = [f"198.18.{n // 200}.{n % 200 + 1}/32" for n in range(count)]
            self.lab.node.ip("link add chaos0 type dummy", "link set chaos0 up",
                             *(f"address add {each} dev chaos0" for each in addresses),
                             *(f"address delete {each} dev chaos0" for each in addresses[:count // 2]),
                             "link delete chaos0")
        finally:
            for agent in self.running:
                os.kill(agent.pid, signal.SIGCONT)

    @staticmethod
    def _limit(name, value):
        write(f"{GROUP}/{name}", value)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


def become(command, log, small_buffers):
    """This process becomes the command."""
    try:
        write(f"{GROUP}/cgroup.procs", os.getpid())
        output, empty = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), os.open("/dev/null", os.O_RDONLY)
        os.dup2(empty, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 4096)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if small_buffers:
            refuse_forced_buffers()
        os.execv(command[0], command)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(127)


def refuse_forced_buffers():
    """setsockopt() of SO_RCVBUFFORCE and SO_SNDBUFFORCE fails with EPERM from now on (struct seccomp_data,
    linux/seccomp.h)."""
    load, equal, result = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    allow, refuse = 0x7FFF0000, 0x00050001
    program = [(load, 0, 0, 0), (equal, 0, 4, SETSOCKOPT), (load, 0, 0, 16 + 2 * 8), (equal, 1, 0, SO_RCVBUFFORCE),
               (equal, 0, 1, SO_SNDBUFFORCE), (result, 0, 0, refuse), (result, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
