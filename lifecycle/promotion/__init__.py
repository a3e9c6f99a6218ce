"""Who may go where: the checks before, the guard inside the registry, the record after."""
