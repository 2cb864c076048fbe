"""The page that shows an OCR result inside Airflow's UI (Airflow 3.1+)."""
