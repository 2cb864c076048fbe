"""
Speaks: text in, a WAV file out, with eSpeak NG; its voice is a robot's, the file is a true one.

The library is inside the wheel of ``espeakng-loader``; where that is missing, Debian's program ``espeak-ng`` is asked.
"""

from __future__ import annotations

import ctypes
import functools
import io
import shutil
import subprocess
import threading
import wave
from typing import Any

from airflow_provider_asposeocr.emulator.jobs import JobFailedError
from airflow_provider_asposeocr.emulator.tools import tool

_VOICE = b"en"
_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL of speak_lib.h: nothing is played, the samples are handed over
_UTF_8 = 1  # espeakCHARS_UTF8
_BY_CHARACTER = 1  # POS_CHARACTER
_GO_ON = 0
_SECONDS = 120
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
# The library speaks one text at a time.
_speaking = threading.Lock()


def wav_of(text: str) -> bytes:
    """
    Return a text as it is spoken, as a WAV file: one channel, 16 bits.

    :param text: any.
    :raises JobFailedError: where neither the library nor the program is installed.
    """
    try:
        loader = tool("espeakng_loader", "espeakng-loader", "text to speech (or Debian's package espeak-ng)")
    except JobFailedError:
        program = shutil.which("espeak-ng")
        if program is None:
            raise
        return _by_program(program, text)
    with _speaking:
        return _spoken(loader, text)


@functools.cache
def _library(path: str, data: str) -> tuple[Any, int]:
    library = ctypes.CDLL(path)
    rate = library.espeak_Initialize(_RETRIEVAL, 0, data.encode(), 0)
    if rate <= 0 or library.espeak_SetVoiceByName(_VOICE) != 0:
        raise JobFailedError("The emulator's speech library does not start.")
    return library, rate


def _spoken(loader: Any, text: str) -> bytes:
    library, rate = _library(str(loader.get_library_path()), str(loader.get_data_path()))
    samples = bytearray()

    def take(piece: Any, count: int, _events: Any) -> int:
        if piece and count > 0:
            samples.extend(ctypes.string_at(piece, 2 * count))
        return _GO_ON

    callback = _CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode() + b"\0"
    done = library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, _BY_CHARACTER, 0, _UTF_8, None, None)
    if done != 0 or library.espeak_Synchronize() != 0:
        raise JobFailedError("The text cannot be spoken.")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(samples))
    return file.getvalue()


def _by_program(program: str, text: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the text comes by standard input
            [program, "--stdin", "--stdout", "-v", _VOICE.decode()],
            input=text.encode(),
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
    except (subprocess.SubprocessError, OSError):
        raise JobFailedError("The text cannot be spoken.") from None
    return done.stdout
