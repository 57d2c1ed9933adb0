"""Memory that is freed stays with the process: glibc would hand it back and fetch it anew for every batch.

Knows glibc's allocator; knows nothing of what is allocated. Elsewhere (musl, macOS, Windows) it does nothing.
"""

import ctypes
import logging

logger = logging.getLogger(__name__)

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_LARGEST_FROM_HEAP = (
    32 * 2**20
)  # the most glibc accepts; a large photograph still comes and goes by itself
_KEPT = 256 * 2**20
_ARENAS = (
    1  # an arena beside the main one holds heaps of 64 MiB and gives each back when it is empty
)


def keep_freed_memory() -> None:
    """Let activations of one batch live in the memory of the batch before.

    Each page that comes back from the kernel is a fault and 4 KiB of zeroes: up to a third of the towers'
    time on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in (
        (_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP),
        (_M_TRIM_THRESHOLD, _KEPT),
        (_M_ARENA_MAX, _ARENAS),
    ):
        if not mallopt(option, value):
            logger.warning("the allocator refused option %d", option)
