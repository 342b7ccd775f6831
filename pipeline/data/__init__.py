"""What the data are: every table's declaration, the files, the engine."""
