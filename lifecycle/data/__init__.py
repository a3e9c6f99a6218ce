"""Reads the rows that gates judge on, from files, folders and queries, in memory independent of their number."""
