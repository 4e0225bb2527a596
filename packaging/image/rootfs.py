# SPDX-License-Identifier: Apache-2.0
#
# Collects what contents.py names: the agent, the libraries that it needs, and what else is in the image.
import os

import contents
import elf
from debian import TRIPLETS, Fault
from tree import Entry, Tree


def collect(stripped, packages, compiled_in, root_of_source):
    """The tree, without the list of its parts (sbom.py), which describes it."""
    tree = Tree()
    with open(stripped, 'rb') as file:
        tree.add_file(contents.AGENT, file.read(), 0o755)
    tree.add_link(contents.KUBE_PROXY, os.path.basename(contents.AGENT))
    for pattern in contents.BASE_FILES:
        tree.take_matching(packages['base-files'], pattern)
    tree.add_link('/etc/os-release', '../usr/lib/os-release', 'base-files')
    programs = [stripped]
    iptables = packages['iptables']
    for pattern in contents.IPTABLES:
        programs += [iptables.root + path
                     for path in tree.take_matching(iptables, pattern, contents.IPTABLES_WITHOUT)]
    add_libraries(tree, programs, packages, elf.architecture(stripped))
    add_certificates(tree, packages['ca-certificates'])
    tree.add_file('/etc/passwd', contents.PASSWD)
    tree.add_file('/etc/group', contents.GROUP)
    tree.add_file('/etc/nsswitch.conf', contents.NSSWITCH)
    for directory in contents.DIRECTORIES:
        tree.add_directory(directory)
    tree.entries['/tmp'] = Entry(tree.entries['/dev'].kind, 0o1777)
    with open(os.path.join(root_of_source, 'LICENSE'), 'rb') as file:
        tree.add_file(contents.DOCUMENTS + '/copyright', file.read())
    texts = {}
    for package in [*packages.values(), *compiled_in]:
        add_copyright(tree, package, texts)
    # After all files of packages: where scanners of images without dpkg find what is installed.
    for name in tree.packages():
        if name in packages:
            tree.add_file(f'/var/lib/dpkg/status.d/{name}', packages[name].control)
            tree.add_file(f'/var/lib/dpkg/status.d/{name}.md5sums', tree.md5sums(name))
    return tree


def add_libraries(tree, programs, packages, architecture):
    found, used = {}, set()
    for name in contents.LIBRARIES:
        for directory in ('/lib/', '/usr/lib/'):
            directory += TRIPLETS[architecture]
            if os.path.isdir(packages[name].root + directory):
                for file in os.listdir(packages[name].root + directory):
                    found[file] = (packages[name], f'{directory}/{file}')
    left, seen = [(file, os.path.basename(file)) for file in programs], set()
    while left:
        file, name_of_file = left.pop()
        names, loader = elf.needed(file)
        if loader:
            tree.take(packages['libc6'], loader)
        for name in names:
            if name in seen:
                continue
            seen.add(name)
            if name not in found:
                raise Fault(f'{name_of_file} needs {name}, which no package of LIBRARIES in contents.py has')
            package, path = found[name]
            used.add(package.name)
            left.append((package.root + tree.take(package, path), name))
    unused = sorted(set(contents.LIBRARIES) - used)
    if unused:
        raise Fault(f'LIBRARIES in contents.py: nothing needs {", ".join(unused)}')


def add_certificates(tree, package):
    pattern = contents.CERTIFICATES
    directory = package.root + os.path.dirname(pattern)
    bundle = b''
    for file in sorted(os.listdir(directory)):
        if not file.endswith('.crt'):
            continue
        with open(os.path.join(directory, file), 'rb') as stream:
            data = stream.read()
        bundle += data if data.endswith(b'\n') else data + b'\n'
    tree.add_file(contents.CERTIFICATE_BUNDLE, bundle, package=package.name)


def add_copyright(tree, package, texts):
    """`texts` has the name of the first package with that text, for a link: Boost's has two megabytes."""
    directory = f'/usr/share/doc/{package.name}'
    if os.path.islink(package.root + directory):  # to that of another package, which is in the image as well
        tree.add_link(directory, os.readlink(package.root + directory), package.name)
        return
    file = directory + '/copyright'
    if not os.path.exists(package.root + file):
        raise Fault(f'{package.name} {package.version} has no {file}')
    with open(package.root + file, 'rb') as stream:
        text = stream.read()
    first = texts.setdefault(text, package.name)
    if first == package.name:
        tree.add_file(file, text, package=package.name)
    else:
        tree.add_link(directory, first, package.name)
