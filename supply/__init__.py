"""What sparkclin is made of: the pinned jars, and the bill of materials."""
