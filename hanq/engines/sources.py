"""The version of the compiled code.

Numba's cache on disk notices when the file of a function is edited, but not when the files of the functions that it calls are.
A compiled entry point that refers to `VERSION` in its closure has a separate cache for each version of all of them.
"""

from hashlib import sha256
from pathlib import Path

COMPILED = (b"numba", b"caching", b"compiling")  # modules that mention one of these have compiled functions
CONSTANTS = ("algorithm", "reference.py")  # modules and folders whose constants are compiled in


def version():
    """Return a hash of the source of every module that has compiled functions."""
    texts = {path: path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py"))}
    used = [text for path, text in texts.items() if any(word in text for word in COMPILED) or not set(path.parts).isdisjoint(CONSTANTS)]
    return int(sha256(b"".join(used)).hexdigest()[:15], 16)


VERSION = version()
