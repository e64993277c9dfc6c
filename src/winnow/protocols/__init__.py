"""Wire protocols without I/O: bytes in, events out; replies in, bytes out.

Law of this folder: no socket, clock, thread or chance, and of Winnow only `errors` is imported.
Each protocol is a state machine that is fed in pieces of any size and means the same by them.
"""
