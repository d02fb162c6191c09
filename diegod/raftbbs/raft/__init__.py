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
`comparing`         who has another state than a majority has, and leaves
`flow`              how much may be on its way to one peer
`greeting`          whose store speaks: hello, and who is refused
`formats`           which releases understand one another
`lives`             of two processes with one store, only the later is heard
`serving`           the copy of the state that members far behind get
`fetching`          a copy on its way to this member
`snapshot`          what a copy is: made, checked, put in place of an older store
`journal`           log, term, vote, commit and applied index, in the store's tables
`step_transaction`  the transaction of a step, begun only when something is read or written
`frames`            the library's messages as `RaftFrame` records, checked
`proven`            the digests of the library's files that all this was proved against
==================  ================================================================================

What is wrong with the library as it is shipped; tests/unit/raftbbs/raft shows it, and that it is
closed here. Comments name a flaw by its number.

====  ==============================================================================================
F1    a snapshot moves a follower's commit index over entries that no majority has
F2    an acknowledgement carries no term: one of an earlier leadership counts for new entries
F3    a follower cuts its log behind each append, also where it agrees: committed entries vanish
F4    an exception in an entry repeats it for ever; one in an answer applies the entry twice
F5    changes of members are not one at a time
F6    a snapshot that does not load is acknowledged
F7    answers that never come; "not applied" where nobody knows
F8    a leader that is cut off leads and reads for 30 s; no pre-votes, no linearizable reads
F9    votes are counted without looking who sent them
F10   its file: lost by a crash in compaction, never flushed, believed when damaged
F12   a full pipe (b), a large entry in pieces (c), conflicts walked back one by one (d)
F13   a crash between dump and log clears the log
F14   a dump that is not ready floods the peer
F15   everything is a pickle, from whoever connects
F16   snapshots without digest, and too few entries kept beside them
F18   a lone write waits for heartbeats; the whole tail is copied for each batch
F20   a thread of its own that ends without a word
F21   a commit index beyond the log commits fresh entries at once
====  ==============================================================================================

The only importer of `pysyncobj`. Does not belong here: what an entry means (`raftbbs.core`), the
streams that carry frames, threads, and the clock: `step` is told the time.
"""
