"""What does a new chapter need? Module, notebook, settings, stage, declarations and test, at once.

`chapter` says what may be called a chapter and puts everything in place, whole or not at all;
`entries` holds where a chapter is named in files that stand already; `notebook` makes its notebook.
The templates lie in templates/: a chapter that is real, and short.
"""
