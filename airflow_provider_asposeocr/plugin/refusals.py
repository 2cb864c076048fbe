"""What cannot be shown, said in a sentence."""

from __future__ import annotations


class NotShownError(Exception):
    """
    Something cannot be shown.

    :param sentence: why, for the user.
    :param status: of the HTTP answer, where it is all that was asked for.
    """

    def __init__(self, sentence: str, *, status: int = 404) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
