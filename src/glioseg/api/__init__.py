"""The Python face: what the command line does, as functions on paths and objects.

Nothing here prints. Progress goes to ``progress``, a function called with (what is done, steps done, steps in all; 0
where their number is not known), or a ``Reporter``, which shows it on stderr as the command line does; messages go to
the logger ``glioseg``. Errors are ``GliosegError``. Arrays are (X, Y, Z), lengths millimetres, volumes millilitres.
"""
