"""Other packages' names for what qtinter does, for programs that move to it."""
