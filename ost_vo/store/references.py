"""What files name as their progenitors, and the lineage that it becomes."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor


def write(cursor: Cursor, references: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Write down what the files of a batch name, once a batch and in its transaction.

    Args:
        cursor: of the batch's transaction.
        references: (product_id, names or paths of its progenitors as the file has them), of every product of
            the batch, also of those that name none.
    """
