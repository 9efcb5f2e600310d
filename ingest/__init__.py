"""From files on disk to rows in the archive."""
