"""The states of a container on a cell, and which may follow which.

A state names what is being done. At most one step of a container is under way at any time, and its
answer leads on. `states.move` refuses whatever is not in this table; the drawing in the
documentation is made from it.

    WAITING ─► PREPARING ─► ASKING ─► GRANTED ─► CREATING ─► CREATED ─► STARTING ─► RUNNING
                                                                                       │
    GONE ◄─ FORGETTING ◄─ REPORTING ◄─► DESTROYING ◄─ STOPPING ◄─ ENDING ◄─────────────┤
                              ▲                                                        │
                              └────────────────────── READING ◄────────────────────────┘

After a restart of the agent a container comes in at ADOPTING (or further on, as its record says).
"""

from enum import StrEnum


class State(StrEnum):
    WAITING = "waiting"  # for room: a container that is leaving still holds it
    PREPARING = "preparing"  # root file system and network are being made
    ASKING = "asking"  # prepared; the BBS is asked whether it may start here
    GRANTED = "granted"  # it may; that is being recorded
    CREATING = "creating"
    CREATED = "created"  # that it is about to be started is being recorded
    STARTING = "starting"
    RUNNING = "running"
    ADOPTING = "adopting"  # found after a restart; the backend (or the BBS) is being asked about it
    READING = "reading"  # a task has ended by itself; its result file is being read
    ENDING = "ending"  # what will be said of it is being recorded
    STOPPING = "stopping"  # asked to end; killed if it does not
    DESTROYING = "destroying"
    REPORTING = "reporting"  # the BBS is being told
    FORGETTING = "forgetting"  # its record is being removed
    GONE = "gone"  # nothing is left of it but the memory, until the watch has caught up


_END = (State.ENDING, State.DESTROYING)

TRANSITIONS: dict[State, tuple[State, ...]] = {
    State.WAITING: (State.PREPARING, State.DESTROYING, State.REPORTING, State.GONE),
    State.PREPARING: (State.ASKING, State.GRANTED, State.DESTROYING),
    State.ASKING: (State.GRANTED, State.DESTROYING),
    State.GRANTED: (State.CREATING, State.DESTROYING),
    State.CREATING: (State.CREATED, State.DESTROYING),
    State.CREATED: (State.STARTING, State.DESTROYING),
    State.STARTING: (State.RUNNING, *_END),
    State.ADOPTING: (State.PREPARING, State.RUNNING, *_END),
    State.RUNNING: (State.READING, State.STOPPING, State.REPORTING, *_END),
    State.READING: (State.REPORTING, State.DESTROYING),
    State.ENDING: (State.STOPPING, State.DESTROYING),
    State.STOPPING: (State.DESTROYING,),
    State.DESTROYING: (State.REPORTING, State.FORGETTING, State.GONE),
    State.REPORTING: (State.DESTROYING, State.FORGETTING, State.GONE),
    State.FORGETTING: (State.GONE,),
    State.GONE: (),
}

#: In these, its program has not been started.
NOT_STARTED = (
    State.WAITING,
    State.PREPARING,
    State.ASKING,
    State.GRANTED,
    State.CREATING,
    State.CREATED,
)

#: In these, a program of the container may be running.
MAY_RUN = (State.STARTING, State.RUNNING, State.ADOPTING, State.ENDING, State.STOPPING)

#: In these, it is on its way out, and what it holds will soon be free.
LEAVING = (
    State.READING,
    State.ENDING,
    State.STOPPING,
    State.DESTROYING,
    State.REPORTING,
    State.FORGETTING,
)


def allows(before: State, after: State) -> bool:
    return after in TRANSITIONS[before]
