//! The decision: a plain function of values.

use super::{AccessRequest, Decision, PolicySet};

/// Placeholder signature while the policy set is being written.
pub fn decide(_policies: &PolicySet, _request: &AccessRequest) -> Decision {
    Decision::Denial(super::Denial { reasons: Vec::new() })
}
