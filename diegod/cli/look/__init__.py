"""Commands that look at the cluster across the nouns: `status`, `events`, `story`, `explain`, …

Does not belong here: changing anything but for a loss accepted, and a noun's own `ls` and `show`.
"""
