"""Backups of a member's store, and stores that begin a new epoch from one.

    file      the format: a manifest, its digest, and a compact copy of the environment
    copying   where the state is: a copy and its manifest
    checking  a list of what is wrong with a store at rest: pages, rows, log
    rebirth   a store that nobody serves begins a new epoch with one voter

Does not belong here: which backups are kept (`raftbbs.core.kept_backups`), what becomes of rows in
a new epoch (`raftbbs.core.epochs`), settings, schedules and processes (`diegod.node`).
"""
