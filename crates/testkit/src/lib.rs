//! Tests only: a clock that moves when told, a scripted receiver, tiny media, fresh stores.
