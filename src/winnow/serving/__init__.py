"""The server: one engine in each worker process, one door in each file.

`serve` is its whole surface; `settings.Settings` says how.
"""
