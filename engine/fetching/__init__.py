"""Getting data from other hosts: requests with limits, retries, a cache on disk, its own thread."""
