//! What the comparing check catches when a fix is taken out, and what it lets pass.
