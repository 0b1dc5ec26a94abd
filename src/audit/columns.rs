//! The columns of `audit.records` (`deploy/audit.sql`) that say again what a field of the record's line says: written by who sends records
//! there, and held against the line by who proves them.

/// Texts.
pub const TEXTS: [&str; 18] = [
    "event",
    "session",
    "client",
    "login",
    "role",
    "purpose",
    "actor",
    "ticket",
    "recipient",
    "database",
    "application",
    "verdict",
    "statement",
    "fingerprint",
    "reason",
    "status",
    "sqlstate",
    "hash",
];

/// Those of [`TEXTS`] that tables of an older `audit.sql` do not have; the line has all of it.
pub const NEWER: [&str; 2] = ["actor", "ticket"];

/// Whole numbers, besides `seq`.
pub const NUMBERS: [&str; 2] = ["of", "rows"];
