"""The version of the compiled code.

Numba's cache on disk notices an edit of a function's own file, but not of the files that it
calls into. A compiled entry point that mentions `VERSION` from its closure has a cache of its
own for each version of all of them.
"""

from hashlib import sha256
from pathlib import Path

COMPILED = (b"numba", b"caching", b"compiling")  # a module that mentions one of these has compiled functions
CONSTANTS = ("algorithm", "reference.py")  # modules and rooms whose constants are compiled in


def version():
    """A number for the text of every module that has compiled functions."""
    texts = {path: path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py"))}
    used = [text for path, text in texts.items() if any(word in text for word in COMPILED) or not set(path.parts).isdisjoint(CONSTANTS)]
    return int(sha256(b"".join(used)).hexdigest()[:15], 16)


VERSION = version()
