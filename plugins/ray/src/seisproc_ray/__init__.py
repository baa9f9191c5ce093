"""The executor ``ray``: segments in the actors of a Ray cluster, or of a Ray of its own on this machine.

Four places. The *engine* is the caller: it hands out segments, collects receipts and decides who is to be killed
(`executor`). The *driver* is its only child, shared by all jobs of the process: it alone talks to Ray, because Ray
holds one connection per process, changes what it lives in, and may end it (`driver`, started by `bridge`). An *actor*
is a worker: one process somewhere, one segment at a time (`actor`). Engine and driver talk JSON over a socket pair
per job (`seisproc_core.execution.channel`); driver and actors call each other with strings and numbers only.

A local Ray is started by the driver, in a session of processes of its own. When the engine is gone, however it died,
the driver reads end-of-file and kills the whole session; when the driver is gone, the engine does.
"""
