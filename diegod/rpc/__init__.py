"""Channels and servers: how a message of `diegod.v1` reaches another process, and who may send it.

Does not belong here: what a method does (each role's service) and who somebody is
(`diegod.security`).
"""
