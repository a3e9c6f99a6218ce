"""Reads headers of numpy files, which say whether pickled objects follow."""

from __future__ import annotations

import math
import warnings

from lifecycle.gates.safety.content import Content

NPY = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes, as in numpy


class BrokenArray(Exception):
    """The file is not an array; the message says why."""


def pickle_start(content: Content) -> int | None:
    """Start of the pickled objects of an array; None if it holds only numbers.

    Raises:
        BrokenArray: its header cannot be read, or it is longer or shorter than the header says.
    """
    from numpy.lib import format as npy

    content.file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for a header written by Python 2
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[
                npy.read_magic(content.file)
            ]
            shape, _, dtype = read(content.file, max_header_size=_LONGEST_HEADER)
    except (ValueError, LookupError, TypeError, SyntaxError, OverflowError, RecursionError, EOFError) as exc:
        raise BrokenArray("is a numpy array with a header that cannot be read") from exc
    start = content.file.tell()
    if dtype.hasobject:
        return start
    if min(shape, default=1) < 0 or start + math.prod(shape) * dtype.itemsize != content.size:
        raise BrokenArray("is a numpy array that is longer or shorter than it says")
    return None
