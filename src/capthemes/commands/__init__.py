"""The commands: each module adds its own to the parser, makes one library call and prints what came of it."""
