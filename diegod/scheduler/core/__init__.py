"""The brain's decisions, as functions of what it sees and of a time that it is given.

Does not belong here: clocks, chance, asyncio, logging, the BBS.
"""
