"""The pages, over the tables that core makes. Nothing in core imports this."""
