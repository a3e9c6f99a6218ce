"""The rows that gates judge on, wherever they lie, in memory that does not grow with their number."""
