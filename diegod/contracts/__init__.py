"""The interfaces that others implement: container backends, health checks, placement strategies.

Pure: protocols and the small values they exchange. Does not belong here: any implementation, and
how implementations are found (`diegod.plugins`). This package and `diegod.plugins` are the public
surface for plugin authors.
"""

#: The version of these interfaces. A plugin made for another one is refused by name.
INTERFACE_VERSION = 1
