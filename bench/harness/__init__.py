"""What all benchmarks share: pairs, rows with their aims, the machine, the table, and processes that they run in."""
