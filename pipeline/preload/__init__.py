"""How do many chapters load their libraries once? By forks of one process that has loaded them.

`client` is what a run talks to, `process` is the preload itself. A preload belongs to one run; each
chapter, and each kernel, is a fresh fork of it, so that nothing passes from one to the next.
"""
