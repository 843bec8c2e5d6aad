"""Which version of the compiled code this is.

Numba's cache on disk notices an edit of a function's own file, but not of the files that it
calls into. A compiled entry point that mentions `VERSION` from its closure has a cache of its
own for each version of all of them.
"""

from hashlib import sha256
from pathlib import Path

CONSTANTS = ("algorithm.py", "reference.py")


def version():
    """A number for the text of every module that uses Numba, or whose constants are compiled in."""
    texts = {path.name: path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py"))}
    compiled = [text for name, text in texts.items() if b"numba" in text or b"njit" in text or name in CONSTANTS]
    return int(sha256(b"".join(compiled)).hexdigest()[:15], 16)


VERSION = version()
