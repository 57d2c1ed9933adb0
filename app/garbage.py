"""Python's garbage collector, which need not look at what a process makes at its start and keeps."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Leave alone, now and later, every object made inside and before.

    torch and the towers are some 400,000 objects. Importing them sets off collection after collection, a sixth
    of the time of a start; later each full one would hold up all requests for a tenth of a second and more.
    Reference counts still free such an object; only a cycle that it is part of stays.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
