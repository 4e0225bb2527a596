# SPDX-License-Identifier: Apache-2.0
#
# Network namespaces. This thread enters them itself, so that a socket in one costs no program:
#
#   with namespace:
#       connection = socket.socket(...)     belongs to the namespace from now on
#
# A namespace has no name. It ends with the last process and descriptor that use it, however this program ends.
import ctypes
import os

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A new one, or the one of `descriptor`."""

    current = None

    def __init__(self, descriptor=None):
        self._entered_from = []
        if descriptor is None:
            _check(_libc.unshare(CLONE_NEWNET))
            descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _check(_libc.setns(Namespace.current.descriptor, CLONE_NEWNET))
        self.descriptor = descriptor
        # What `ip link ... netns` takes.
        self.path = f"/proc/{os.getpid()}/fd/{descriptor}"

    def enter(self):
        _check(_libc.setns(self.descriptor, CLONE_NEWNET))
        Namespace.current = self

    def __enter__(self):
        self._entered_from.append(Namespace.current)
        self.enter()
        return self

    def __exit__(self, *_):
        self._entered_from.pop().enter()

    def close(self):
        os.close(self.descriptor)


# The one this program was started in.
HOME = Namespace(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
Namespace.current = HOME

# False where the kernel was started with ipv6.disable=1.
HAS_IPV6 = os.path.exists("/proc/net/if_inet6")
