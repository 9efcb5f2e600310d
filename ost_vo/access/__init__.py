"""Who is asking, and in which context: the rules that the views of the database enforce."""
