"""The route table: every endpoint of the API, collected from the modules of `api.routes`."""

from __future__ import annotations

from platevault.api.route import Route
from platevault.api.routes import (
    content_lists,
    downloads,
    log_upload,
    namespaces,
    notes,
    protection,
    prune,
    removal,
    verify,
    version,
)

ROUTES: tuple[Route, ...] = (
    *version.ROUTES,
    *content_lists.ROUTES,
    *downloads.ROUTES,
    *log_upload.ROUTES,
    *namespaces.ROUTES,
    *notes.ROUTES,
    *protection.ROUTES,
    *prune.ROUTES,
    *removal.ROUTES,
    *verify.ROUTES,
)
