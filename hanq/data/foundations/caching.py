"""Numba's decorators with a more robust cache: if it is missing, full or damaged, code is compiled again.

Numba itself raises an error in these cases, or loads damaged code. Every function with `cache=True` is decorated here.
"""

import functools
import hashlib
import io
import os
import pickle
import warnings
from contextlib import contextmanager, suppress

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, NullCache

REMEDY = "set NUMBA_CACHE_DIR to a folder that can be written to and has room"


def njit(*signatures, cache=False, **options):
    """Like numba.njit, with a robust cache."""

    def decorate(function):
        dispatcher = numba.njit(**options)(function)
        if cache:
            dispatcher._cache = cache_of(function)
        return with_signatures(dispatcher, dispatcher.compile, signatures)

    return decorate


def vectorize(signatures, cache=False):
    """Like numba.vectorize, with a robust cache."""

    def decorate(function):
        ufunc = numba.vectorize(function)
        if cache:
            ufunc._dispatcher.cache = cache_of(function)
        return with_signatures(ufunc, ufunc.add, signatures)

    return decorate


def with_signatures(compiled, add, signatures):
    """Compile for the given signatures now and for no others later; without signatures, compile on each new call type."""
    for signature in signatures:
        add(signature)
    if signatures:
        compiled.disable_compile()
    return compiled


@functools.cache
def say(message):
    """Warn once per process."""
    warnings.warn(message, stacklevel=3)


def cache_of(function):
    """Return the cache for a function, or one that stores nothing if no folder is writable."""
    try:
        cache = Cache(function)
    except (RuntimeError, OSError) as error:
        found = str(error).removeprefix(f"cannot cache function {function.__qualname__!r}: ").split(" for file ")[0]
        say(f"compiled code cannot be kept on disk ({found}), so every process compiles anew: {REMEDY}")
        return NullCache()
    wanted = numba.config.CACHE_DIR
    if wanted and not os.path.abspath(cache.cache_path).startswith(os.path.abspath(wanted)):
        say(f"NUMBA_CACHE_DIR={wanted!r} cannot be written to, so compiled code is kept in folders beside the package's modules")
    return cache


class Location(CompileResultCacheImpl):
    """Chooses the folder of a function's cache. Without a home folder, Numba would create one named `~`."""

    @property
    def _locator_classes(self):
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~")
        return [one for one in CompileResultCacheImpl._locator_classes if os.path.isabs(home) or "UserWide" not in one.__name__]


class Cache(FunctionCache):
    """Numba's cache for one function, except that a failure only costs the time to compile again."""

    _impl_class = Location

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = CheckedFile(
            cache_path=self._cache_path,
            filename_base=f"checked-{self._impl.filename_base}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, signature, target_context):
        """Return the code for a signature, or None if there is none that can be used."""
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # damaged data can raise anything
            say(f"the cache of compiled code in {self.cache_path!r} cannot be used, so code is compiled anew ({error})")
        with suppress(OSError):  # if this fails, saving fails too, and warns
            self.flush()  # otherwise saving would read the damaged index again
        return None

    def save_overload(self, signature, code):
        """Store the code for a signature, if possible."""
        try:
            super().save_overload(signature, code)
        except Exception as error:  # a full disk, or anything that reading a damaged index raises
            say(f"compiled code cannot be kept in {self.cache_path!r} ({error}), so every process compiles anew: {REMEDY}")


class CheckedFile(IndexDataCacheFile):
    """Numba's index and data files, each followed by a checksum.

    The data also record which source and signature they belong to: a process killed between writing the two files leaves
    an index that points to code for an earlier version of the source, or for other types.
    """

    def save(self, key, data):
        super().save(key, (self._source_stamp, key, data))

    def load(self, key):
        found = super().load(key)
        return found[2] if found is not None and found[:2] == (self._source_stamp, key) else None

    @contextmanager
    def _open_for_write(self, path):
        content = io.BytesIO()
        yield content
        with super()._open_for_write(path) as file:
            file.write(content.getvalue() + hashlib.sha256(content.getvalue()).digest())

    def _load_index(self):
        check(self._index_path)
        return super()._load_index()

    def _load_data(self, name):
        check(self._data_path(name))
        return super()._load_data(name)


def check(path):
    """Raise UnpicklingError if a file does not end with its own checksum."""
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        content = file.read()
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        raise pickle.UnpicklingError(f"{os.path.basename(path)} is truncated or damaged")
