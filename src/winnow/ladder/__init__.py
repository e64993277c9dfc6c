"""Graphs -> what each costs and is worth, side by side: measures, and changes nothing."""
