"""The roles' logs: a simulation has its own trace, and formatting lines would take half its time."""

import logging

import structlog


def silence_logs() -> None:
    """For this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
