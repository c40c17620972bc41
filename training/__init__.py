# SPDX-License-Identifier: MIT
"""Makes a network smaller and teaches it, on PyTorch. README.md has an overview."""


class DataError(Exception):
    """Pictures, labels or videos that cannot be used; says which and why."""
