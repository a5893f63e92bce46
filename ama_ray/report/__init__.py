"""What a run found, for people: a table, a sentence, a picture, and the files that hold them."""
