"""The replicated log: proposals become entries that a majority has on disk, in one order for all.

`api` is what the rest of the BBS knows: records and a protocol, no library's names. `engine` is the
one implementation, PySyncObj 0.3.17 made safe from outside:

==================  ================================================================================
`engine`            one step: one transaction, one flush to disk, and only then anything gets out
`guarded`           the library itself: the only module that knows its private names
`gate`              every message in and out: what the library must not see, say or do
`append`            what a follower may take from an append: a pure function
`elections`         pre-votes, votes that are counted once, stickiness
`confirmations`     rounds of heartbeats, linearizable reads, proof of leadership
`flow`              how much may be on its way to one peer
`greeting`          whose store speaks: hello, and who is refused
`journal`           log, term, vote, commit and applied index, in the store's tables
`step_transaction`  the transaction of a step, begun only when something is read or written
`frames`            the library's messages as `RaftFrame` records, checked
`proven`            the digests of the library's files that all this was proved against
==================  ================================================================================

The only importer of `pysyncobj`. Does not belong here: what an entry means (`raftbbs.core`), the
streams that carry frames, threads, and the clock: `step` is told the time.
"""
