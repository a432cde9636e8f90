"""What is stored of pictures and runs, and the stores: SQLite, MySQL, Parquet; all SQL is here."""
