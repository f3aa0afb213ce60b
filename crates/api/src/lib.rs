//! Routes, the desk, auth, errors and the OpenAPI document.
