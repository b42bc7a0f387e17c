"""Makes clip.wav and clip.txt: sentences of a kind, by voices that the model was not trained on, in a noisy room.

    venv/bin/python clip.py                              # the clip of `make run`
    venv/bin/python clip.py other.wav 7 stop (guitar) no # another one: file, seed, what is said; in brackets: not a keyword

The text file beside the WAV file says what is said: start and end in milliseconds, and the word; `make run` holds what the system
hears against it.
"""

import pathlib
import sys
import wave

import numpy as np

import speech

HERE = pathlib.Path(__file__).parent
SAID = "kinglet music (sandwich) left stop (guitar) volume yes".split()
SEED = 20240302


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "clip.wav"
    rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else SEED)
    pieces, lines, at = [np.zeros(int(0.6 * speech.RATE), np.float32)], [], int(0.6 * speech.RATE)
    for word in sys.argv[3:] or SAID:
        voice = f"{rng.choice(speech.ACCENTS)}+{rng.choice(speech.HELD_OUT)}"
        spoken = speech.say(voice, int(rng.integers(130, 180)), int(rng.integers(30, 70)), word.strip("()"))
        spoken = spoken * (10 ** (rng.uniform(-28, -18) / 20) / np.sqrt(np.mean(spoken**2)))
        if not word.startswith("("):
            lines.append(f"{at * 1000 // speech.RATE} {(at + len(spoken)) * 1000 // speech.RATE} {word}\n")
        pause = np.zeros(int(rng.uniform(0.4, 0.6) * speech.RATE), np.float32)
        pieces += [spoken, pause]
        at += len(spoken) + len(pause)
    pieces.append(np.zeros(int(0.4 * speech.RATE), np.float32))
    samples = np.concatenate(pieces)
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    frequency = np.maximum(np.fft.rfftfreq(len(samples), 1 / speech.RATE), 50)
    noise = np.fft.irfft(spectrum / np.sqrt(frequency), len(samples))
    samples = samples + noise * (10 ** (-46 / 20) / noise.std())
    samples = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.RATE)
        file.writeframes(samples.tobytes())
    target.with_suffix(".txt").write_text("".join(lines))
    print(f"{target}: {len(samples) / speech.RATE:.2f} s, {len(lines)} keywords")


if __name__ == "__main__":
    main()
