"""What the fuzzers share: whether an input worked, or was refused as it should be, within bounds of memory and time."""

import faulthandler
import re
import resource
import signal
import sys
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import hanq

SECONDS, BYTES = 10, 2**30  # that one input may take
OURS = Path(hanq.__file__).parent
NAMED = re.compile(r"^(\[')?[a-z]\w*( |=|\[|')")  # "learning_rate=-1 is ...", "observations has shape ...", "['x'] is unknown"


class Reached(Exception):
    """The input was accepted, and the work was about to begin."""


@contextmanager
def bounded():
    """TimeoutError after `SECONDS`; MemoryError for what asks for more than `BYTES` at once."""

    def late(*_):
        raise TimeoutError(f"no answer within {SECONDS} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, limits[1]))
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    # A library that does not come back to Python hears no alarm. (pytest's stand-in for stderr is no file.)
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def fault(call):
    """What is wrong with how a call ended, or None: it may return, or raise an error of ours."""
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except Reached:
        return None
    except OSError as error:
        return None if error.filename or NAMED.match(str(error)) else f"{type(error).__name__} names no file: {error}"
    except (ValueError, TypeError, KeyError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error.args[0]) if error.args else ""
        if not Path(last.filename).is_relative_to(OURS):
            return f"raw {type(error).__name__} from {last.filename}:{last.lineno}: {text[:200]}"
        if "\n" in text or not NAMED.match(text):
            return f"{type(error).__name__} does not name its argument in one line: {text[:200]!r}"
    except BaseException as error:
        return f"raw {type(error).__name__}: {str(error)[:200]}"
    return None


def report(faults, count, record_property):
    """Fail with one example of each kind of fault."""
    record_property("inputs fuzzed", count)
    kinds = {}
    for what, given in faults:
        kinds.setdefault(re.sub(r"\d+", "N", what)[:60], f"{what}\n    given {given}")
    assert not kinds, f"{len(faults)} faults of {len(kinds)} kinds:\n" + "\n".join(kinds.values())
