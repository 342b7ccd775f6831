"""Raw exports to analysis tables: simulate, ingest, usage, snapshot."""
