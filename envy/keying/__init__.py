"""What an entry key is made of, and the look-up of the entry that it names."""
