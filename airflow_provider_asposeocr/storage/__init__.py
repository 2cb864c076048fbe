"""Documents in, results out, on any storage that Airflow's ``ObjectStoragePath`` opens."""
