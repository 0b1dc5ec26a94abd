//! Where a statement is on its way through the pipeline, told to whoever wants to know how long each part takes: the pipeline
//! itself looks at no clock.

use std::fmt;

/// A part of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Text to AST, within limits.
    Parse,
    /// PostgreSQL's own grammar: of the client's text, and of the text that will run.
    Witness,
    /// Names to columns, and what each is used for.
    Resolve,
    /// What the policies say.
    Decide,
    /// Masks and row filters, and the text that will run.
    Rewrite,
}

/// Who is told when a step begins; the step before has ended then.
#[derive(Clone, Copy, Default)]
pub struct Steps<'a>(Option<&'a (dyn Fn(Step) + Sync)>);

impl<'a> Steps<'a> {
    /// Tells this function.
    pub fn told(to: &'a (dyn Fn(Step) + Sync)) -> Self {
        Self(Some(to))
    }

    pub(super) fn begin(self, step: Step) {
        if let Some(tell) = self.0 {
            tell(step);
        }
    }
}

impl fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}
