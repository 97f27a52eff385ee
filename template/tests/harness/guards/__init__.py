"""What no test may do or leave behind; one file a guard."""
