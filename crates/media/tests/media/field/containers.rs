//! Containers and their times: joined, cut, streamed, late, with something before or behind.
