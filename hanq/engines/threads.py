"""A loop over agents on several threads that Ctrl-C interrupts at once."""

from threading import Thread


def each(function, count, threads):
    """[function(0), ..., function(count - 1)], on so many threads; raises what one of them raises first.

    Machine code and the compiler cannot be stopped: after Ctrl-C a thread ends what it has begun in the background, and
    nobody waits for it. (A pool of `concurrent.futures` would, at the latest when Python exits.)
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
