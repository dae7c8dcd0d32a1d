"""One module for each framework or client, named after it; they use public names only, and the text of `explain`."""
