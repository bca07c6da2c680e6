// A strict, bounded JSON reader and a writer.
