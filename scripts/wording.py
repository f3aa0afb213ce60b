"""Phrases that no text for users has: pages, help, settings, errors, the API's own document.

Each is wrong wherever it stands, so that the list never forces a worse sentence. It has the word to use instead, and a
sentence that it must find.
"""

import re

WRONG = [
    # Pattern, what to write, a sentence that has it.
    (r"\bwho(?:so)?ever\b", "name the component: the caller, the worker, the receiver", "Whoever asks gets it."),
    (r"\bsome(?:body|one)\b", "name the component", "Deliveries wait until somebody enables the endpoint."),
    (r"\bno(?:body|-one)\b", "name the component, or use the passive", "Nobody claims the job."),
    (r"\b(?:he|she)\b", "name the component", "The worker says what he does."),
    (r"\bof whom\b", "split the sentence", "Accounts, of whom one is the first."),
    (r"\banew\b", '"again", or "new"', "Its links are made anew."),
    (r"\bhalf-made\b", '"temporary" or "incomplete"', "It removes half-made files."),
    (r"\btakes hold\b", '"is active", "applies"', "The setting takes hold at the next start."),
    (r"\bnot known here\b", '"unknown"', "crff is not known here."),
    (r"\b(?:not|nothing is) (?:taken|read|done|spoken|made) here\b", '"not supported"', "This format is not taken here."),
    (r"\bno sign of life\b", '"no progress", "no response"', "The encoder showed no sign of life."),
    (r"\bis told (?:of|that|when|why)\b", '"is notified", or name what reports it', "The receiver is told of the job."),
    (r"\bseal(?:s|ed)? (?:the|every|all|its|under|at rest|anew)\b", '"encrypt"', "Secrets are sealed at rest."),
    # "There is no file", "is no longer" and "is no larger than" are English; "a text is no number" is not.
    (
        r"(?<!there )(?<!that )\bis no (?!longer\b|more\b|less\b|\w+er than\b)(?=[a-z]+\b)",
        '"is not a"',
        "The value is no number.",
    ),
]
PATTERNS = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead, _ in WRONG]

RIGHT = [
    "There is no such job.",
    "The link is no longer valid, and the result is no larger than its source.",
    "Is there no header? Then the request is refused.",
]


def faults(text):
    """Each such phrase in a text, with its line and what to write instead."""
    for pattern, instead in PATTERNS:
        for match in pattern.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0].strip()
            yield f'"{match[0]}": write {instead}: {line[:160]}'


def check_itself(report):
    """Every phrase is found in its own sentence, and right sentences have none."""
    for pattern, _, sentence in WRONG:
        report.check(re.search(pattern, sentence, re.IGNORECASE), f"scripts/wording.py: {pattern} does not find: {sentence}")
    for sentence in RIGHT:
        found = list(faults(sentence))
        report.check(not found, f"scripts/wording.py: refuses a right sentence: {found}")
