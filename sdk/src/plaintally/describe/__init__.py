"""Descriptions of values, which never hold data: the kind of a value and its size.

`describe` and `describe_data` make a description, and `keep_names` takes names out of it before it
is recorded. `is_description` holds a stranger's description against the closed set below, and
`is_sealed` knows one that was made here and that nobody changed. `plain` unwraps a scalar. None of
them sends, stores or decides anything.

A description is a dict of plain JSON types. These are all keys there are:

| key | value | which values have it |
|---|---|---|
| `type` | name of a class, ASCII | all |
| `shape` | at most 64 ints | arrays, series, frames (rows, columns), images (height, width) |
| `length` | int | built-in containers and texts, a graph's nodes, a dataset's variables |
| `element_type` | name of a kind of element, see below | arrays, series, lists, tuples, sets |
| `element_bytes` | int, bytes per element | where the kind of element has a fixed size |
| `nbytes` | int, bytes of all elements | if it follows from the above or the library knows it |
| `device` | one of `DEVICES` | tensors of torch |
| `nnz` | int, values stored | sparse arrays and matrices whose format stores one value per entry |
| `edges` | int | graphs with at most 4096 nodes and 8192 entries in their adjacency |
| `columns` | first 64 of `{"name", "element_type"}` | frames and tables |
| `entries` | first 32 descriptions, some with a `name` | data, datasets, short lists, tuples |

Ints are from 0 to 2**63 - 1. A `name` is a printable text of 1 to 64 characters, and is left out
where what is there is none: keys given to `describe_data`, columns of frames and variables of
datasets. No other text of the user's can be in a description. Descriptions lie at most 4 deep, and
one has at most 256 parts, counting each description in it and each column; what lies beyond is left
out. So is a key whose value cannot be told, and often nothing but the type is left.

`type` is the first name in the order of method resolution that is no invention of the user's: its
class is built in, or belongs to the standard library or to one of `LIBRARIES`, and the module that
it claims to be from really holds it under that name. Of a user's class that is the name of what it
extends, in the end `object`.

`element_type` is a kind of element as its library spells it, without what a user chose: no fields,
no categories, no zones (`datetime64[ns, tz]`), `void` for a record. An image's is its mode. Of a
built-in container it is the `type` that the first 8 elements share, `mixed` when they share none,
and left out when there are no elements; the others are not looked at. A list or tuple of at most 8
elements has `entries` when one of them is more than a scalar, a text or a bare container of some
length.

No code of a value's class runs. Attributes are read through the library's own descriptors in C, or
out of an instance's dict when its class is the library's own and not one that extends it. Nothing
is imported: a library is known by being in `sys.modules`. Iterators, files and lazy frames are not
touched.
"""

from plaintally.describe._classes import LIBRARIES
from plaintally.describe._describing import describe, describe_data, make
from plaintally.describe._plain import UNKNOWN, plain
from plaintally.describe._vocabulary import (
    DEVICES,
    Described,
    is_description,
    is_sealed,
    keep_names,
    without_names,
)

__all__ = [
    "DEVICES",
    "LIBRARIES",
    "UNKNOWN",
    "Described",
    "describe",
    "describe_data",
    "is_description",
    "is_sealed",
    "keep_names",
    "make",
    "plain",
    "without_names",
]
