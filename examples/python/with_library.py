"""The same check in three lines, with the library of Standard Webhooks (`pip install standardwebhooks`)."""

from standardwebhooks import Webhook


def verified_event(secret, headers, body):
    """The event as a dict. Raises `WebhookVerificationError`: answer 400 then. `body` is the raw bytes that arrived."""
    return Webhook(secret).verify(body, headers)
