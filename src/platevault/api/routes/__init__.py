"""The endpoints, one topic a file; each module has its ROUTES, `api.table` collects them."""
