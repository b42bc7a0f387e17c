"""What the keyword model learns from and is tested on: words spoken by espeak-ng, in rooms with noise.

A voice is an accent of English with one of espeak-ng's variants. The variants of HELD_OUT speak in the test alone, and so do
the words of UNKNOWN_HELD_OUT. Everything follows from the seeds that callers give; only another release of espeak-ng speaks
differently.
"""

import concurrent.futures
import io
import subprocess
import wave

import numpy as np
from scipy import signal

RATE = 16_000
WINDOW = 48 * 320 + 512  # samples that the model sees at once: shared/log-mel

WORDS = ["kinglet", "left", "music", "no", "right", "start", "stop", "volume", "weather", "yes"]
CLASSES = WORDS + ["unknown", "silence"]
UNKNOWN, SILENCE = len(WORDS), len(WORDS) + 1

# Words that are none of the above, many of them nearly: beginnings, ends and rhymes.
UNKNOWN_WORDS = """
    about again air answer apple arm art bank bed bell better bird blue board book box bring button cabinet camera car cat chair
    circle city clock cloud coffee cold colour come computer country cup day desk dog door down dream earth eight end evening
    every eye feather field finger fire five flag floor flower forest four front garden glass go gold good great green ground
    hand happy hat heart hello help home hot hour house hundred ice inlet iron island jingle job jump key king kitchen knee lamp
    language leaf learn leather left-hand lemon lesson letter lid life lift lightning line listen little long lovely lunch
    machine make map market marvin measure metal minute mirror moon morning mother mountain mouse movie museum name narrow neck
    never new night nine nobody noise north nose note number ocean off often oil old on one open orange outside paper park
    pencil people phone picture piece pin place plane plant please point press purple queen quick radio rain ready red rest
    ride ring river road rock room round sad sail salt same school sea second seven shadow ship shop short silver single sister
    six sky sleep slow small smart snow so some song soon sound south spring square stack staff star stark state station stay
    step stock stone story street strong sugar summer sun system table tall tea ten test thing three thunder time today together
    tomato top tower town train travel tree triangle two umbrella under up value village violin visual wall warm watch water wave
    wedding week welcome west wheel white willow wind window winter wish wood word world write-off yard year yellow yesterday
    yet young zebra zero
""".split()
UNKNOWN_HELD_OUT = """
    actor bottle bridge candle corner dinner engine family guitar hammer holiday jacket ladder monday needle number-two office
    orchard pepper pillow planet pocket rabbit saddle sandwich seventy singlet sofa starling stirrup stool theatre ticket
    tractor velvet volcano whisper yoghurt
""".split()

ACCENTS = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"]
VARIANTS = """
    Alex Alicia Andrea Andy Annie AnxiousAndy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Mike Nguyen
    RicishayMax RicishayMax2 RicishayMax3 Tweaky anika announcer antonio aunty belinda benjamin boris caleb david ed edward edward2
    f1 f2 f3 f5 fast grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt4 klatt5 klatt6 m1 m2 m3 m4 m6 m7
    marcelo max michel miguel norbert pablo paul pedro quincy rob robert robosoft robosoft3 sandro shelby steph steph3 travis
    whisper whisperf zac
""".split()
HELD_OUT = "Michael adam f4 grandma klatt3 linda m5 m8 steph2 victor".split()


def say(voice, speed, pitch, text):
    """The text as spoken by a voice, without the silence around it: samples at 16 kHz between -1 and 1."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-z", "--stdout", text]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(out)) as file:
        assert file.getframerate() == 22_050 and file.getsampwidth() == 2 and file.getnchannels() == 1
        samples = np.frombuffer(out[44:], np.int16).astype(np.float32) / 32768
    samples = signal.resample_poly(samples, 320, 441).astype(np.float32)
    # The silence that espeak-ng adds is digital; what is below -46 dB of the peak at the ends is breath at most.
    loud = np.flatnonzero(np.abs(samples) > 0.005 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def utterances(rng, variants, unknown_words, unknown_per_voice):
    """Each word once by each voice, and some that are unknown: a list of (class, samples)."""
    jobs = []
    for accent in ACCENTS:
        for variant in variants:
            spoken = list(enumerate(WORDS))
            spoken += [(UNKNOWN, word) for word in rng.choice(unknown_words, unknown_per_voice, replace=False)]
            for label, word in spoken:
                speed, pitch = int(rng.integers(120, 200)), int(rng.integers(25, 76))
                jobs.append((label, f"{accent}+{variant}", speed, pitch, word.replace("-", " ")))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        spoken = list(pool.map(lambda job: say(*job[1:]), jobs))
    # A few variants cannot say some words at some speeds: there is nothing, or it does not fit.
    limit = int(0.92 * RATE)
    return [(job[0], samples) for job, samples in zip(jobs, spoken) if RATE // 20 < len(samples) <= limit]


class Room:
    """Puts utterances into windows: somewhere, at some loudness, with noise, an echo, and other speech close by."""

    def __init__(self, rng, others):
        self.rng = rng
        self.others = others
        count = 60 * RATE
        white = rng.standard_normal(count).astype(np.float32)
        spectrum = np.fft.rfft(white)
        frequency = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20)
        coloured = lambda power: np.fft.irfft(spectrum / frequency**power).astype(np.float32)
        hum = sum(np.sin(2 * np.pi * 50 * k * np.arange(count) / RATE + k) / k for k in range(1, 8)).astype(np.float32)
        babble = np.zeros(count, np.float32)
        for _ in range(600):
            other = others[rng.integers(len(others))]
            start = rng.integers(count - len(other))
            babble[start : start + len(other)] += other
        quiet_hum = hum + 0.05 * hum.std() * white
        self.noises = [white, coloured(0.5), coloured(1.0), quiet_hum]
        self.noises = [noise / noise.std() for noise in self.noises]
        self.babble = babble / babble.std()

    def noise(self, with_babble):
        noises = self.noises + [self.babble] if with_babble else self.noises
        bed = noises[self.rng.integers(len(noises))]
        start = self.rng.integers(len(bed) - WINDOW)
        return bed[start : start + WINDOW]

    def echo(self, samples):
        """The sound of a room: a tail of some tens of milliseconds."""
        length = int(self.rng.uniform(0.01, 0.08) * RATE)
        tail = self.rng.standard_normal(length) * np.exp(-4 * np.arange(length) / length)
        tail *= self.rng.uniform(0.02, 0.12)
        tail[0] = 1
        return signal.fftconvolve(samples, tail)[: len(samples)].astype(np.float32)

    def tilt(self, samples):
        """A microphone that prefers low or high sounds."""
        return signal.lfilter([1, self.rng.uniform(-0.5, 0.5)], [1], samples).astype(np.float32)

    def finish(self, window, with_babble=True):
        """Loudness, noise, rounding to 16 bits."""
        rng = self.rng
        active = np.abs(window) > 0
        level = 10 ** (rng.uniform(-38, -12) / 20)
        if active.any():
            window = window * (level / np.sqrt(np.mean(window[active] ** 2)))
            noise = level * 10 ** (-rng.uniform(5, 45) / 20)
        else:
            noise = 10 ** (rng.uniform(-96, -25) / 20)
        window = window + noise * self.noise(with_babble)
        return np.clip(np.round(window * 32768), -32768, 32767).astype(np.int16)

    def word(self, samples):
        """A window that holds all of an utterance."""
        rng = self.rng
        window = np.zeros(WINDOW, np.float32)
        start = int(rng.integers(WINDOW - len(samples) + 1))
        window[start : start + len(samples)] = samples
        if rng.random() < 0.3:
            # Another word ends before this one, or begins behind it.
            other = self.others[rng.integers(len(self.others))] * rng.uniform(0.4, 1.2)
            gap = int(rng.uniform(0.1, 0.3) * RATE)
            before, after = max(start - gap, 0), min(start + len(samples) + gap, WINDOW)
            if rng.random() < 0.5:
                count = min(before, len(other))
                window[before - count : before] = other[len(other) - count :]
            else:
                count = min(WINDOW - after, len(other))
                window[after : after + count] = other[:count]
        if rng.random() < 0.5:
            window = self.echo(window)
        return self.finish(self.tilt(window))

    def part(self, samples):
        """A window that holds less than half of an utterance, at one of its ends: not yet, or no longer, a word."""
        rng = self.rng
        window = np.zeros(WINDOW, np.float32)
        count = int(rng.uniform(0.15, 0.45) * len(samples))
        if rng.random() < 0.5:
            window[WINDOW - count :] = samples[:count]
        else:
            window[:count] = samples[len(samples) - count :]
        return self.finish(self.tilt(window))

    def silence(self):
        """A window of noise alone; sometimes of nothing at all."""
        window = np.zeros(WINDOW, np.float32)
        if self.rng.random() < 0.05:
            return window.astype(np.int16)
        return self.finish(window, with_babble=False)


def windows(rng, spoken, copies, parts, silent):
    """Windows and their classes: `copies` of each word, `parts` of a part of one for each word, a share of silence."""
    others = [samples for label, samples in spoken if label == UNKNOWN]
    room = Room(rng, others)
    made, labels = [], []
    for label, samples in spoken:
        for _ in range(copies):
            made.append(room.word(samples))
            labels.append(label)
        if label != UNKNOWN and rng.random() < parts:
            made.append(room.part(samples))
            labels.append(UNKNOWN)
    for _ in range(int(silent * len(made))):
        made.append(room.silence())
        labels.append(SILENCE)
    return np.stack(made), np.array(labels, np.uint8)
