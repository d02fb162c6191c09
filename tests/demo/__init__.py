"""`make demo`: a cluster with real containers on this host, and all that can fail failing.

`steps/` holds what is shown, one file a step, and their order. Each step looks from outside
(`evidence`, `instances`, `traffic`, `snapshot`), says what it has seen (`report`) and raises
`NotSeen` for what it has not. `sabotage` breaks one step by hand, to prove that the demo would
notice. `cluster` starts and ends the cluster, `leftovers` what a killed demo left. Nothing but the
cluster itself and the client library is taken from the product.
"""
