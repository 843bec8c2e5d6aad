"""A loop over agents on several threads that Ctrl-C interrupts immediately."""

from threading import Thread


def each(function, count, threads):
    """Return [function(0), ..., function(count - 1)], computed on several threads. Raises the first exception of any of them.

    Machine code and the compiler cannot be stopped, so after Ctrl-C each thread finishes its current call in the background
    without being waited for. (A pool of `concurrent.futures` would wait for it, at the latest when Python exits.)
    """
    left, found, failed = iter(range(count)), {}, []

    def work():
        for i in left:  # shared: each number goes to one thread
            if failed:
                return
            try:
                found[i] = function(i)
            except BaseException as error:
                failed.append(error)

    running = [Thread(target=work, daemon=True) for _ in range(min(count, threads))]
    try:
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    except BaseException as error:
        failed.append(error)
        raise
    if failed:
        raise failed[0]
    return [found[i] for i in range(count)]
