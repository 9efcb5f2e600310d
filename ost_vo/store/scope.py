"""The filter of the views, for statements of our own that read the tables as the role ost_lists."""

from __future__ import annotations

# Of rows of archive.products, p. The rule of context.in_scope; but PostgreSQL evaluates each sub-select once,
# where in_scope reads the settings for every row.
IN_SCOPE = (
    "context.covers(p.privileges, p.release_date, p.project_id, p.creator_id, (SELECT context.user_id() > 0),"
    " (SELECT context.user_id()), (SELECT context.scope_project_ids()),"
    " (SELECT context.member_project_ids()), (SELECT context.min_privileges()))"
)
