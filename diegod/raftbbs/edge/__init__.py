"""The edge of a BBS member: what each method of its services does.

A write becomes a command and waits for its outcome; a read passes a barrier and is answered from
one read transaction; a watch follows the feed. Handlers know no gRPC. Decisions do not belong
here: they are the core's.
"""
