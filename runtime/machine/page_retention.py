"""Keep freed frame memory in the process instead of giving it back after every frame.

glibc maps each block above 128 KiB afresh and unmaps it when freed, so every temporary plane
costs a page fault per 4 KiB. Kept pages fuse a 640x480 clip 1.2 to 1.3 times faster with
``average`` and ``laplacian``, 1.9 to 2.3 times with ``guided``, whose system time falls from
7.3 s to 0.2 s (150 frames, 2 busy cores, in turns; environment variables MALLOC_*_ alike).
"""

from __future__ import annotations

import ctypes

# mallopt(3): parameter numbers of glibc; 32 MiB is the largest threshold it takes on 64 bits.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MIB = 1 << 20
SETTINGS = ((M_MMAP_THRESHOLD, 32 * MIB), (M_TRIM_THRESHOLD, 512 * MIB), (M_TOP_PAD, 64 * MIB))


def retain_pages() -> bool:
    """Set glibc's allocator for this process; False where the C library has no mallopt.

    For commands, which own their process; a library must leave the allocator alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*setting) == 1 for setting in SETTINGS)
