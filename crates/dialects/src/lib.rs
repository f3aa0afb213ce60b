//! Phrasebooks of the services whose clients Reelhook understands.
