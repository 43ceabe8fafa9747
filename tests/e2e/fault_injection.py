# SPDX-License-Identifier: Apache-2.0
"""A broker's environment in which one call to the system fails: tests/e2e/faults/faulty_disk.cpp says how."""
import os
import struct

# As the library counts them.
KINDS = ("create", "open", "allocate", "fill", "write", "fill-sync", "sync", "sync-directory", "rename", "unlink",
         "read", "read-back", "write-one", "open-unnamed")
STRUCK = 15


class Faults:
    """`files`: how the names of the files begin whose calls count; `folder`: for what this keeps."""

    def __init__(self, library, folder, files):
        self.library, self.files = library, files
        self.counters, self.lasting = folder / "counters", folder / "lasting"

    def environment(self, fault="", lasts=False):
        """`fault`: KIND:N:WHAT. If it lasts, calls fail from the N-th on while the file self.lasting is there, and names
        the error."""
        self.counters.write_bytes(bytes(128))
        environment = {
            "LD_PRELOAD": self.library, "TRILBY_FAULT": fault, "TRILBY_FAULT_COUNTS": str(self.counters),
            "TRILBY_FAULT_FILES": str(self.files),
            # A sanitizer would rather be the first library.
            "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}
        if lasts:
            environment["TRILBY_FAULT_WHILE"] = str(self.lasting)
        return environment

    def counts(self):
        return struct.unpack("16Q", self.counters.read_bytes())

    def count(self, kind):
        return self.counts()[KINDS.index(kind)]

    def struck(self):
        return self.counts()[STRUCK]


def sampled(count, samples):
    """Numbers from 1 to count, the first and the last among them."""
    if count <= samples:
        return range(1, count + 1)
    return sorted({1 + round(one * (count - 1) / (samples - 1)) for one in range(samples)})
