"""The default executor of seisproc: supervised worker processes on this machine.

Three kinds of process. The *engine* is the caller: it hands out segments, collects receipts and decides who is to be
killed (`executor`). The *nursery* is its child: it imports what the work needs, runs none of it, stays single-threaded,
and forks workers on request, so that a worker starts in milliseconds and its parent, which alone may signal it safely,
never waits for anything but messages (`nursery`). It serves one job at a time and rests between jobs. A *worker*
belongs to one job and runs one segment at a time (`worker`). Engine and nursery, and engine and each worker, talk JSON
over a socket pair (`seisproc_core.execution.channel`): nothing is
pickled.

When the engine is gone, however it died, the nursery reads end-of-file and kills all workers; when the nursery is gone
the kernel does (Linux), and the engine starts another. Processes that a step starts are killed once their worker has
ended, daemons included (Linux); they go on only if the nursery itself is killed.
"""
