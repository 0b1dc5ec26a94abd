//! CALL: a procedure is judged by what stands in it, as a function that is called is.

use sqlparser::ast::{Function, FunctionArgumentList, FunctionArguments};

use super::names::parts_of;
use super::scope::Columns;
use super::{Fail, Resolver, unsupported};
use crate::error::{Refusal, Stage};
use crate::policy::Use;

impl Resolver<'_> {
    /// A call of a procedure. Where a policy hides anything, only of one that it names.
    pub(super) fn procedure(&mut self, call: &mut Function) -> Result<Columns, Fail> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } = call;
        let plain = !*uses_odbc_syntax
            && matches!(parameters, FunctionArguments::None)
            && within_group.is_empty()
            && filter.is_none()
            && null_treatment.is_none()
            && over.is_none();
        let FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }) = args else {
            return Err(unsupported("this form of CALL"));
        };
        if !plain || !clauses.is_empty() {
            return Err(unsupported("this form of CALL"));
        }
        let policies = self.context.policies;
        if !policies.hides_nothing() {
            let parts = parts_of(name)?;
            let named = matches!(parts.as_slice(), [schema, name] if policies.allows_function(schema, name));
            if !named {
                return Err(Refusal::unsupported(Stage::Resolve, "CALL is not carried out for governed sessions")
                    .detail("it could run code that nobody reviewed on unmasked values, or change who may do what")
                    .hint("name the procedure with its schema and let a policy open it: `[functions] allow = [\"schema.name\"]`; or use an unrestricted role"));
            }
        }
        self.routine_name(name, args, "procedure")?;
        args.iter_mut().try_for_each(|arg| self.function_argument(arg, Use::Output))?;
        Ok(None)
    }
}
