"""Guards: what no test may do or leave behind, one file per guard."""
