"""The BBS: the bulletin board system that holds the truth of the cluster.

A client's request becomes a command, a batch of commands becomes one entry of the replicated log,
`core.apply` turns each committed command into an outcome, and the outcome's changes go out to
whoever watches. Only this package changes cluster state. It decides nothing about where work goes
(`diegod.scheduler`) and touches no container (`diegod.cellruntime`).
"""
