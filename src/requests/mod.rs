//! What a data subject may ask for, and what is done about it (POPIA s11(3), s23, s24; PAIA s53 to s57).
//!
//! | file | what it does |
//! | --- | --- |
//! | `clock` | by when a request is answered |
//! | `shape` | the database's tables and foreign keys |
//! | `map` | each table's way to the person |
//! | `find` | a person's keys, by e-mail address, telephone or identity number |
//! | `register` | requests, their steps and outcomes |
//! | `told` | each step as a record of the access log |
//! | `wishes` | consents and objections, as SQL over the tables that the policies name |
//! | `export` | the answer to a request for access |
//! | `letters` | who is told of it |
//! | `lessons` | who was trained |
//! | `deletion` | what goes, what is made anonymous, what stays and why |

pub mod clock;
pub mod deletion;
pub mod export;
pub mod find;
pub mod lessons;
pub mod letters;
mod map;
pub mod register;
mod shape;
pub mod told;
pub mod wishes;

pub use map::{Held, NoMap, PersonMap, Way};
pub use shape::{Column, Reference, Shape, Table};
