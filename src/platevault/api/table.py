"""The route table: every endpoint of the API, collected from the modules of `api.routes`."""

from __future__ import annotations

from platevault.api.route import Route
from platevault.api.routes import (
    acl,
    backup,
    catalog,
    content_lists,
    datastore_config,
    datastores,
    downloads,
    empty_collections,
    garbage_collection,
    log_upload,
    namespaces,
    node,
    node_inventory,
    notes,
    protection,
    prune,
    prune_jobs,
    reader,
    removal,
    roles,
    sync_jobs,
    tasks,
    tickets,
    user_tokens,
    users,
    verify,
    verify_jobs,
    version,
)
from platevault.api.routes.directories import directory_routes

ENDPOINTS: tuple[Route, ...] = (
    *version.ROUTES,
    *tickets.ROUTES,
    *roles.ROUTES,
    *acl.ROUTES,
    *users.ROUTES,
    *user_tokens.ROUTES,
    *datastores.ROUTES,
    *content_lists.ROUTES,
    *downloads.ROUTES,
    *catalog.ROUTES,
    *log_upload.ROUTES,
    *namespaces.ROUTES,
    *notes.ROUTES,
    *protection.ROUTES,
    *prune.ROUTES,
    *removal.ROUTES,
    *verify.ROUTES,
    *garbage_collection.ROUTES,
    *datastore_config.ROUTES,
    *prune_jobs.ROUTES,
    *verify_jobs.ROUTES,
    *sync_jobs.ROUTES,
    *empty_collections.ROUTES,
    *node.ROUTES,
    *node_inventory.ROUTES,
    *tasks.ROUTES,
    *backup.ROUTES,
    *reader.ROUTES,
)

ROUTES: tuple[Route, ...] = (*ENDPOINTS, *directory_routes(ENDPOINTS))
