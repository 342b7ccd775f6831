"""One module per chapter: pure functions, frames in, tidy frames out."""
