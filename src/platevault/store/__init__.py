"""Where bytes live: blocking storage with a durable order of writes, and locks."""
