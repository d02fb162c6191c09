"""What people write into files: settings of a node, contexts of a client, specs of work.

Files become typed values here, or a list of everything that is wrong with them, each with its
line. Does not belong here: what a definition may say (`diegod.models.admission`), and anything
that acts on a setting.
"""
