"""What roles say to one another and what is replicated and stored. Not for clients: it may
change with any release."""
