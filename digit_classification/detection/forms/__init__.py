"""Forms: their pages read into results (`pages`), written as tables (`tables`), made templates of.

Nothing of it is imported here, for those who read no forms.
"""
