"""How Airflow is set up for tests: its components, and the settings that let it notice soon what is done to it."""

from __future__ import annotations

from collections.abc import Mapping

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server", "--workers", "1"),
    # Without --skip-serve-logs the two would serve their logs on all interfaces; here everybody reads the same folder.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}

SETTINGS: Mapping[str, str] = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__PARALLELISM": "8",  # LocalExecutor forks that many workers when it starts
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # the default asks the DNS
    "CORE__DEFAULT_TASK_RETRY_DELAY": "0",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
    # How soon a new or changed DAG file is seen.
    "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    # A file that has not changed is not parsed again: that would only take the processor from the tests.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    # How soon the next task starts.
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # How soon a running task notices that a user ended it. It asks 5 times as often as usual: so it may fail as often.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "WORKERS__MAX_FAILED_HEARTBEATS": "15",
    # How soon the tasks of a killed scheduler are taken over, and those without a heartbeat are retried.
    "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    # One that starts thirty tasks on a loaded machine is silent for several seconds. Were it taken for dead (it takes
    # itself for that), its running tasks would be started anew. So each loss of a scheduler takes a test this long.
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # How soon `defer(timeout=...)` expires, and the triggers of a killed triggerer are taken over by the next one.
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    "TRIGGERER__CAPACITY": "1000",
}
