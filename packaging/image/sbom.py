# SPDX-License-Identifier: Apache-2.0
#
# The list of what the image is made of, as SPDX 2.3 in JSON: the agent, the Debian packages that files are from, and
# the libraries whose headers are compiled into the agent.
import hashlib
import json
import re
import time

from debian import SUITE


def spdx_id(package):
    return 'SPDXRef-Package-' + re.sub(r'[^A-Za-z0-9.-]', '-', f'{package.name}-{package.architecture}')


def described(package, what):
    one = {
        'SPDXID': spdx_id(package),
        'name': package.name,
        'versionInfo': package.version,
        'supplier': 'Organization: Debian',
        'downloadLocation': 'NOASSERTION',
        'filesAnalyzed': False,
        'licenseConcluded': 'NOASSERTION',
        'licenseDeclared': 'NOASSERTION',
        'copyrightText': 'NOASSERTION',
        'comment': f'{what}. Licence and copyright: /usr/share/doc/{package.name}/copyright in the image.',
        'primaryPackagePurpose': 'LIBRARY' if package.name.startswith(('lib', 'zlib', 'prometheus')) else 'OTHER',
        'externalRefs': [{
            'referenceCategory': 'PACKAGE-MANAGER', 'referenceType': 'purl', 'referenceLocator': package.purl()}],
    }
    if package.sha256:
        one['checksums'] = [{'algorithm': 'SHA256', 'checksumValue': package.sha256}]
    return one


def write(identity, architecture, agent, in_image, libraries, compiled_in):
    """The text. `identity` has version, commit, source and epoch; `agent` is the program's bytes."""
    image, program = 'SPDXRef-Image', 'SPDXRef-kube-ipvs'
    ours = {
        'versionInfo': identity.version,
        'supplier': 'Organization: kube-ipvs',
        'downloadLocation': identity.source or 'NOASSERTION',
        'filesAnalyzed': False,
        'licenseConcluded': 'NOASSERTION',
        'licenseDeclared': 'Apache-2.0',
        'copyrightText': 'NOASSERTION',
        'sourceInfo': f'commit {identity.commit}',
    }
    packages = [
        {'SPDXID': image, 'name': f'kube-ipvs-image-{architecture}', 'primaryPackagePurpose': 'CONTAINER'} | ours,
        {'SPDXID': program, 'name': 'kube-ipvs', 'primaryPackagePurpose': 'APPLICATION',
         'checksums': [{'algorithm': 'SHA256', 'checksumValue': hashlib.sha256(agent).hexdigest()}]} | ours]
    relationships = [('SPDXRef-DOCUMENT', 'DESCRIBES', image), (image, 'CONTAINS', program)]
    for package in in_image:
        packages.append(described(package, f'Debian {SUITE}, files of it are in the image'))
        relationships.append((image, 'CONTAINS', spdx_id(package)))
        if package.name in libraries:
            relationships.append((program, 'DYNAMIC_LINK', spdx_id(package)))
    for package in compiled_in:
        packages.append(described(package, f'Debian {SUITE}, headers of it are compiled into kube-ipvs'))
        relationships.append((program, 'STATIC_LINK', spdx_id(package)))
    document = {
        'spdxVersion': 'SPDX-2.3',
        'dataLicense': 'CC0-1.0',
        'SPDXID': 'SPDXRef-DOCUMENT',
        'name': f'kube-ipvs-{identity.version}-{architecture}',
        'creationInfo': {
            'created': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(identity.epoch)),
            'creators': ['Tool: kube-ipvs-packaging-image', 'Organization: kube-ipvs']},
        'packages': packages,
        'relationships': [
            {'spdxElementId': one, 'relationshipType': kind, 'relatedSpdxElement': other}
            for one, kind, other in relationships],
    }
    # Of its own for each content, and the same for the same one.
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document['documentNamespace'] = f'https://spdx.org/spdxdocs/kube-ipvs-{identity.version}-{architecture}-{digest}'
    return json.dumps(document, indent=1) + '\n'
