"""MySQL and MariaDB: `store` is what a run sees of a server, `server` how it is reached."""
