"""How large and how many: every number that admission enforces, in one place.

Does not belong here: defaults (`defaults.py`) and the rules that use these numbers
(`field_rules.py`).
"""

KIB = 1024
MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

#: Guids, domains, tags and names are keys of the store, whose longest key is 511 bytes.
NAME_BYTES_MAX = 128
ROOTFS_BYTES_MAX = 1024
ANNOTATION_BYTES_MAX = 10 * KIB
PATH_BYTES_MAX = 4096
#: The kernel gives one argument or one NAME=VALUE at most 128 KiB.
ARGUMENT_BYTES_MAX = 128 * KIB
METRIC_TAG_VALUE_BYTES_MAX = 256
#: A log entry holds at most 512 KiB; a definition leaves room for others beside it.
DEFINITION_BYTES_MAX = 256 * KIB
FAILURE_REASON_BYTES_MAX = 1024
RESULT_BYTES_MAX = 10 * KIB
URL_BYTES_MAX = 2 * KIB
CRON_BYTES_MAX = 256
DISPATCH_PAYLOAD_BYTES_MAX = 64 * KIB
#: A task is called after its schedule and its slot, or what it was dispatched with.
SCHEDULE_NAME_BYTES_MAX = NAME_BYTES_MAX - 28

ARGUMENTS_MAX = 1000
ENVIRONMENT_VARIABLES_MAX = 1000
TAGS_MAX = 64
PORTS_MAX = 32
PARAMETERS_MAX = 64
CHECKS_MAX = 16
DEPENDENCIES_MAX = 32
INSTANCES_MAX = 10_000

PORT_MIN, PORT_MAX = 1, 65_535
CPU_WEIGHT_MIN, CPU_WEIGHT_MAX = 1, 100
#: Less than this does not hold a C runtime; a kill at the start looks like a broken program.
MEMORY_MB_MIN = 4
MEMORY_MB_MAX = 16 * 1024 * 1024
DISK_MB_MAX = 1024 * 1024 * 1024
PIDS_MAX = 4_194_304
PLACEMENT_ATTEMPTS_MAX = 1000
FAILURE_THRESHOLD_MAX = 1000
RESTARTS_MAX = 1_000_000

START_DEADLINE_MS_MAX = 30 * DAY_MS
EXECUTION_TIMEOUT_MS_MAX = 365 * DAY_MS
RETENTION_MS_MAX = 365 * DAY_MS
CALLBACK_BACKOFF_MS_MIN = 100
CALLBACK_GIVE_UP_MS_MAX = 365 * DAY_MS
LATE_MS_MAX = 7 * DAY_MS
#: Ten years: what is to hold longer is said with 0, for ever.
DOMAIN_TTL_S_MAX = 10 * 366 * DAY_MS // 1000
START_TIMEOUT_MS_MAX = DAY_MS
STOP_TIMEOUT_MS_MAX = HOUR_MS
BACKOFF_MS_MAX = DAY_MS
RESET_AFTER_MS_MAX = 30 * DAY_MS
DRAIN_DEADLINE_MS = 10 * MINUTE_MS
DRAIN_DEADLINE_MS_MAX = 30 * DAY_MS
#: More often than this a cell with many containers would do little else.
CHECK_INTERVAL_MS_MIN = 10
CHECK_INTERVAL_MS_MAX = DAY_MS
CHECK_TIMEOUT_MS_MAX = HOUR_MS
MIN_HEALTHY_MS_MAX = DAY_MS
#: Sooner than this no rootfs is unpacked.
PROGRESS_DEADLINE_MS_MIN = 1000
PROGRESS_DEADLINE_MS_MAX = 30 * DAY_MS
