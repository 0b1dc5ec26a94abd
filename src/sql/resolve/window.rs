//! Windows.

use sqlparser::ast::{NamedWindowDefinition, NamedWindowExpr, WindowFrameBound, WindowSpec, WindowType};

use super::order::order_keys_plain;
use super::{Fail, Resolver};
use crate::policy::Use;

impl Resolver<'_> {
    /// WINDOW name AS (...).
    pub(super) fn named_window(&mut self, window: &mut NamedWindowDefinition) -> Result<(), Fail> {
        match &mut window.1 {
            NamedWindowExpr::NamedWindow(_) => Ok(()),
            NamedWindowExpr::WindowSpec(spec) => self.window_spec(spec),
        }
    }

    /// OVER name, OVER (...).
    pub(super) fn window(&mut self, window: &mut WindowType) -> Result<(), Fail> {
        match window {
            WindowType::NamedWindow(_) => Ok(()),
            WindowType::WindowSpec(spec) => self.window_spec(spec),
        }
    }

    fn window_spec(&mut self, spec: &mut WindowSpec) -> Result<(), Fail> {
        let WindowSpec { window_name: _, partition_by, order_by, window_frame } = spec;
        self.exprs(partition_by, Use::Group)?;
        for key in order_keys_plain(order_by)? {
            self.expr(&mut key.expr, Use::Order)?;
        }
        let Some(frame) = window_frame else { return Ok(()) };
        for bound in std::iter::once(&mut frame.start_bound).chain(frame.end_bound.as_mut()) {
            match bound {
                WindowFrameBound::CurrentRow => {}
                WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => {
                    if let Some(distance) = distance {
                        self.expr(distance, Use::Order)?;
                    }
                }
            }
        }
        Ok(())
    }
}
