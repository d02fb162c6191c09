"""The container backend that needs nothing: plain processes, without isolation.

For a laptop, for macOS, for a machine without root. One small supervisor process a cell
(`supervisor`) is the parent of all programs, so that their output and exit statuses outlive the
agent; `backend` is what the agent calls. The two meet in one unix socket and in the records
beside each container's log. Works on Linux and macOS.

The supervisor imports this package at every start: nothing may be imported here, and the modules
that it uses (`records`, `processes`, `spawn`, `cri_log`, `children`, `line_server`) import only
the standard library and light modules of our own.
"""
