"""The placement strategies that come with diegod. They are plugins like anyone else's."""
