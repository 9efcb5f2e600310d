"""From files to their pixels: what a preview shows, and the statistics of a frame."""
