#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the headers of the given folders, relative to the root, one a line."""
import pathlib
import sys

root = pathlib.Path(sys.argv[1])
for folder in sys.argv[2:]:
    for header in sorted((root / folder).rglob("*.hpp")):
        print(header.relative_to(root))
