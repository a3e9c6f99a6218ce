"""One script a revision. A script that was released is never changed."""
