"""What a worker does to the machine, and how it is: CPU, memory, garbage, its event loop and thread pools.

- `process`: what the operating system knows of the process.
- `garbage`: what CPython's collector did, and how long everything stood still for it.
- `event_loop`: how late the loops are.
- `thread_pools`: how many threads are busy, and what waits for one.
- `supervisors`: a master that serves nothing is no worker, and reports none of these.

The host's meters are the gateway's, never a worker's: each worker would report them again.
"""
