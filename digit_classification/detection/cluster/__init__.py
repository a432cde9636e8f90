"""Reading on a Ray cluster: the connection, the chunks on their way, the tasks of its nodes."""
