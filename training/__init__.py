# SPDX-License-Identifier: MIT
"""Makes a network smaller and teaches it, on PyTorch. README.md has an overview."""
