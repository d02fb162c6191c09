"""What a BBS member keeps on disk: one LMDB environment, and the shape of what lies in it.

`environment` is the only importer of `lmdb`: tables, transactions, one exception for a disk that
cannot take a write. `envelope` is the format of every stored value. `identity` is the birth record:
whose store this is. Does not belong here: what the values mean (`raftbbs.core`) and the replicated
log (`raftbbs.raft`).
"""
