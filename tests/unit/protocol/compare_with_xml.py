# SPDX-License-Identifier: Apache-2.0
"""Compares the declarations of protocol/ with the published XML (Debian: amqp-specs).

usage: compare_with_xml.py DESCRIBE
DESCRIBE is the program built from describe.cpp. Exit code 77: no XML on this machine.
"""
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

SPECS = os.environ.get("AMQP_SPECS", "/usr/share/amqp/specs")
RABBIT_XML = os.path.join(SPECS, "0-9-1-rabbit/amqp0-9-1.stripped.extended.xml")
OLD_XML = os.path.join(SPECS, "0-9/amqp0-9.stripped.xml")

# RabbitMQ speaks these, but the XML above is older than they are.
NOT_IN_XML = """
method 10 60 connection.blocked reason:shortstr
method 10 61 connection.unblocked
method 10 70 connection.update-secret new-secret:longstr reason:shortstr
method 10 71 connection.update-secret-ok
""".split("\n")

# access.request was dropped from 0-9-1, and RabbitMQ answers it all the same.
OLD_CLASSES = ["access"]

# RabbitMQ and its clients kept the name that 0-9-1 took away.
RENAMED = {"property 2 reserved:shortstr": "property 2 cluster-id:shortstr"}

# A timestamp travels as a longlong.
WIRE_TYPES = {"timestamp": "longlong"}


def field_texts(element, domains):
    for field in element.findall("field"):
        domain = field.get("type") or field.get("domain")
        domain = domains.get(domain, domain)
        yield f"{field.get('name')}:{WIRE_TYPES.get(domain, domain)}"


def published(path, wanted):
    """The lines that describe.cpp should print for the classes that `wanted` accepts."""
    root = ElementTree.parse(path).getroot()
    domains = {domain.get("name"): domain.get("type") for domain in root.findall("domain")}
    lines = []
    for a_class in root.findall("class"):
        name = a_class.get("name")
        if not wanted(name):
            continue
        for method in a_class.findall("method"):
            lines.append(" ".join(["method", a_class.get("index"), method.get("index"),
                                   f"{name}.{method.get('name')}", *field_texts(method, domains)]))
        for place, field in enumerate(field_texts(a_class, domains)):
            line = f"property {15 - place} {field}"
            lines.append(RENAMED.get(line, line))
    return lines


def main():
    for path in (RABBIT_XML, OLD_XML):
        if not os.path.exists(path):
            print(f"SKIPPED: {path} is missing (Debian package amqp-specs); set AMQP_SPECS if it is elsewhere")
            return 77
    expected = published(RABBIT_XML, lambda name: True)
    expected += published(OLD_XML, lambda name: name in OLD_CLASSES)
    expected += [line for line in NOT_IN_XML if line]
    output = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    declared = output.splitlines()

    missing = sorted(set(expected) - set(declared))
    unknown = sorted(set(declared) - set(expected))
    for line in missing:
        print(f"published, not declared: {line}")
    for line in unknown:
        print(f"declared, not published: {line}")
    if len(declared) != len(set(declared)):
        print("a declaration occurs twice")
        return 1
    print(f"{len(declared)} declarations compared with {len(expected)} published ones")
    return 1 if missing or unknown else 0


sys.exit(main())
