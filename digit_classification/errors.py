"""What ends a program in order: errors whose message a user can act on."""


class UserError(Exception):
    """What the user can put right; the message is one sentence that says how."""
