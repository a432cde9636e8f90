"""The network: its architecture, its inference without an engine, its file, and its exports."""
