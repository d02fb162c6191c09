"""`make demo`: a whole cluster with real containers on this host, and everything that can fail failing.

`steps/` holds what is shown, one file a step, in the order of `stage.STEPS`. Each step looks from
outside (`evidence`, `instances`, `traffic`, `snapshot`), says what it has seen (`report`) and raises
`NotSeen` for what it has not. `sabotage` breaks one step by hand, to prove that the demo would
notice. `cluster` starts and ends the cluster, `leftovers` what a killed demo left. Nothing but the
cluster itself and the client library is taken from the product.
"""
