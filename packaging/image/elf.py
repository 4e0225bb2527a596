# SPDX-License-Identifier: Apache-2.0
#
# What a program says of itself, of whatever architecture it is.
import os
import re

from debian import TRIPLETS, Fault, run

MACHINES = {0x3E: 'amd64', 0xB7: 'arm64'}


def architecture(file):
    """As Debian names it."""
    try:
        with open(file, 'rb') as stream:
            head = stream.read(20)
    except OSError as e:
        raise Fault(f'{file}: {e.strerror}') from e
    if head[:4] != b'\x7fELF':
        raise Fault(f'{file} is not a program')
    machine = int.from_bytes(head[18:20], 'little')
    if machine not in MACHINES:
        raise Fault(f'{file} is for the machine {machine:#x} of ELF; known are {", ".join(MACHINES.values())}')
    return MACHINES[machine]


def needed(file):
    """The names of the shared libraries, and the loader."""
    said = run('readelf', '--dynamic', '--program-headers', '--wide', file)
    names = re.findall(r'\(NEEDED\).*\[(.+)\]', said)
    loader = re.findall(r'program interpreter: (.+)\]', said)
    return names, loader[0] if loader else None


def strip(file, to):
    """Without what depends on where it was built: that is the debug information, and the build ID, a hash of it."""
    own = run('dpkg', '--print-architecture').strip()
    prefix = '' if architecture(file) == own else TRIPLETS[architecture(file)] + '-'
    run(prefix + 'strip', '--strip-all', '--remove-section=.note.gnu.build-id', '-o', to, file)
    os.chmod(to, 0o755)
