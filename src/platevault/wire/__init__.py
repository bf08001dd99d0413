"""How bytes travel: listener, TLS, hand-over of a connection, HTTP/2; knows nothing of backups."""
