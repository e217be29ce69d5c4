"""What the journal's events come to: runs, deployments, projects, and their meters.

All of it is made by `book.Book` from the journal alone, and is the same whichever order the events came in.
"""
