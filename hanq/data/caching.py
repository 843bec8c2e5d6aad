"""Numba's decorators with a cache on disk that can be missing, full or damaged: then code is compiled anew.

Numba itself stops at each of these, or loads what it finds. Every function with `cache=True` comes from here.
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
    """As numba.njit."""

    def decorate(function):
        dispatcher = numba.njit(**options)(function)
        if cache:
            dispatcher._cache = cache_of(function)
        return with_signatures(dispatcher, dispatcher.compile, signatures)

    return decorate


def vectorize(signatures, cache=False):
    """As numba.vectorize."""

    def decorate(function):
        ufunc = numba.vectorize(function)
        if cache:
            ufunc._dispatcher.cache = cache_of(function)
        return with_signatures(ufunc, ufunc.add, signatures)

    return decorate


def with_signatures(compiled, add, signatures):
    """Compiled for these types now, and then for no others; without any, whenever it is called."""
    for signature in signatures:
        add(signature)
    if signatures:
        compiled.disable_compile()
    return compiled


@functools.cache
def say(message):
    """Warn, once a process."""
    warnings.warn(message, stacklevel=3)


def cache_of(function):
    """A function's cache, or one that holds nothing where no folder can be written to."""
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
    """Where a function's files are. Without a home Numba would make a folder named `~`."""

    @property
    def _locator_classes(self):
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~")
        return [one for one in CompileResultCacheImpl._locator_classes if os.path.isabs(home) or "UserWide" not in one.__name__]


class Cache(FunctionCache):
    """Numba's cache of one function, whose failures cost time only."""

    _impl_class = Location

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = CheckedFile(
            cache_path=self._cache_path,
            filename_base=f"checked-{self._impl.filename_base}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, signature, target_context):
        """The code for a signature, or None where there is none that can be used."""
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # unpickling what is damaged can raise anything
            say(f"the cache of compiled code in {self.cache_path!r} cannot be used, so code is compiled anew ({error})")
        with suppress(OSError):  # saving says so
            self.flush()  # else saving would read the same again
        return None

    def save_overload(self, signature, code):
        """Keep the code for a signature, if that is possible."""
        try:
            super().save_overload(signature, code)
        except Exception as error:  # a full disk, and all that reading can raise
            say(f"compiled code cannot be kept in {self.cache_path!r} ({error}), so every process compiles anew: {REMEDY}")


class CheckedFile(IndexDataCacheFile):
    """Numba's index and data files, each with a checksum at its end, where unpickling does not read.

    Data name what they are the code of: a process that is killed between its two files leaves an index that
    points to the code of an earlier edit, or of other types.
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
    """UnpicklingError where a file does not end with its own checksum."""
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        content = file.read()
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        raise pickle.UnpicklingError(f"{os.path.basename(path)} is truncated or damaged")
