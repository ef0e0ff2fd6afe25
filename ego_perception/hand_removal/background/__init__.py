"""What was behind the hands: pixels seen earlier are carried along with the background and kept in memory. No weights."""
