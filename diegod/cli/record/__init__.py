"""Records of the cluster as people name and read them, for every noun that shows them.

Does not belong here: what one noun alone shows, and the form of the output (`terminal`).
"""
