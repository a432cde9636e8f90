"""Digits drawn by the program, in the forms in which people all over the world write them.

MNIST was written in the United States.  Elsewhere a one has an upstroke as long as its stem, a
four is written in one go, a seven has a bar, a nine a flat base: networks trained on MNIST alone
take such a one for a seven, and such a four for a nine.

The forms are data (`digits/0.yaml` to `9.yaml`, read and checked by `book`).  `hand` follows a
form as a hand does, `pen` puts ink on its way, `picture` takes a picture of the ink, and `draw`
brings that through the preparation of all pictures.  docs/styles.md shows every style.
"""
