"""`diegod cell …`: the machines that run containers, looked at and taken out of service.

Does not belong here: the cell as a role of this machine (`machine`).
"""
