"""HTTP/2 for backup and reader sessions: a blocking server and client connection with a DATA path of our own."""
