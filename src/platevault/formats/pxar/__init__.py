"""pxar archives: a directory tree as one stream, or split into metadata and payload."""
