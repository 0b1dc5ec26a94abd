//! Text to AST, names to columns, and back to the text that runs.
//!
//! [`enforce`] is the one path: simple query, Parse, SQL-level PREPARE, DECLARE, EXPLAIN and COPY all go through it.
//!
//! The rooms from the top down; each imports only from those below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | `govern` | the one path through the others: what goes in, what comes out, statements that steer the session |
//! | `rewrite` | the permitted AST becomes what may run |
//! | `resolve` | names to catalog columns, and what each is used for |
//! | `reviewed` | lists: functions, system relations, settings, what definitions give away |
//! | `ast` | text to AST and back, and what the AST refers to |
//! | `witness` | PostgreSQL's own tree of the same text, and what that refers to |
//! | `form` | what is decided: a statement's tokens with its constants kept apart, and under what |
//! | `text` | tokens, limits, and what is done to text alone |

mod ast;
mod form;
mod govern;
mod resolve;
mod reviewed;
mod rewrite;
mod steps;
mod text;
mod witness;

pub use ast::{
    Ddl, Kind, Parsed, column_parts, is_grammar_function, is_substring_call, marker, on_parser_stack, parse, render,
    render_expr, utility,
};
pub use form::{Asked, Class, Constants, Context, Form, Keyed, Known, Slot};
pub use govern::{
    ComparedMask, Effect, Enforced, Fills, Lookups, Named, Refused, Said, Way, Words, admitted, enforce, enforce_form,
    may_use, portal_refusal, refusal_of, relay_unrestricted, too_old_refusal,
};
pub use resolve::{Compared, Given, HIDDEN as HIDDEN_COLUMN, Tested, open_parameters};
pub use reviewed::settings::chooses_plans;
pub use rewrite::{
    Guard, Recheck, TokenKey, contact_form, due_counts, new_row_refusal, refusal_for, still_kept, unsettled,
    unsettled_among,
};
pub use steps::{Step, Steps};
pub use text::{
    Redacted, Stated, check_said, in_ascii, may_define, may_fetch, may_reset, parse_search_path, place_in, place_of,
    redact, split, stated, temporary_target,
};
pub use witness::{Facts, check_rewrite, in_its_words, reads_same, words_against};
