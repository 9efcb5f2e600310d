"""What the views need to know of the installation."""

from __future__ import annotations

from psycopg2.extensions import connection as Connection


def set_public_url(connection: Connection, url: str) -> None:
    """Store the URL under which the world sees the archive: access URLs in the views begin with it.

    Args:
        connection: of the role ost_owner.
        url: without a slash at the end.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO archive.site (public_url) VALUES (%s) "
            "ON CONFLICT (only_row) DO UPDATE SET public_url = excluded.public_url "
            "WHERE site.public_url <> excluded.public_url",
            (url,),
        )


def public_url(connection: Connection) -> str:
    """Return the URL that access URLs in the views begin with; '' where none has been stored."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public_url FROM archive.site")
        row = cursor.fetchone()
    return str(row[0]) if row else ""
