//! What of a configuration a reload takes, and what needs a restart.

use super::Audit;
use super::server::{Auth, Config, Listen, Policy};

impl Config {
    /// The keys that are another in `now`, and that no reload takes: the policies' files, `mode` and `[audit] time_zone` are taken.
    pub fn needs_restart(&self, now: &Self) -> Vec<&'static str> {
        // Named one by one, so that a new key must be thought of here.
        let Self {
            listen,
            upstream,
            auth,
            logins,
            policy,
            audit,
            admin,
            organisation: _,
            fleet,
            requests: _,
            alerts,
            mail,
            centre,
            telemetry,
        } = self;
        let mut keys = Vec::new();
        let mut other = |key: &'static str, changed: bool| {
            if changed {
                keys.push(key);
            }
        };
        let Listen {
            addresses,
            tls,
            require_tls,
            max_connections,
            max_connections_per_login,
            max_connections_per_address,
            drain_seconds,
            drain_notice_seconds,
        } = listen;
        other("[listen] address", *addresses != now.listen.addresses);
        other("[listen] tls_cert, tls_key, tls_client_ca", *tls != now.listen.tls);
        other("[listen] require_tls", *require_tls != now.listen.require_tls);
        other("[listen] max_connections", *max_connections != now.listen.max_connections);
        other("[listen] max_connections_per_login", *max_connections_per_login != now.listen.max_connections_per_login);
        let per_address = *max_connections_per_address != now.listen.max_connections_per_address;
        other("[listen] max_connections_per_address", per_address);
        let drain =
            *drain_seconds != now.listen.drain_seconds || *drain_notice_seconds != now.listen.drain_notice_seconds;
        other("[listen] drain_seconds, drain_notice_seconds", drain);
        other("[upstream]", *upstream != now.upstream);
        let Auth { method, client_certificate, allow_weak, limits } = auth;
        other("[auth] method", *method != now.auth.method);
        other("[auth] client_certificate", *client_certificate != now.auth.client_certificate);
        other("[auth] allow_weak", *allow_weak != now.auth.allow_weak);
        other("[auth], its limits", *limits != now.auth.limits);
        other("[[logins]]", *logins != now.logins);
        let Policy { token_key, .. } = policy;
        other("[policy] token_key", *token_key != now.policy.token_key);
        // Everything but the zone is the writer's, which is running.
        let kept = Audit { time_zone: now.audit.time_zone.clone(), ..audit.clone() };
        if kept != now.audit {
            other("[audit] directory", audit.directory != now.audit.directory);
            other("[audit] sync", audit.sync != now.audit.sync);
            other("[audit] signing_key", audit.signing_key != now.audit.signing_key);
            other("[audit] retain_days", audit.retain_days != now.audit.retain_days);
            let named = Audit {
                directory: now.audit.directory.clone(),
                sync: now.audit.sync,
                signing_key: now.audit.signing_key.clone(),
                retain_days: now.audit.retain_days,
                ..kept
            };
            other("[audit]", named != now.audit);
        }
        other("[admin] address", admin.address != now.admin.address);
        other("[admin]", admin.address == now.admin.address && *admin != now.admin);
        other("[fleet]", *fleet != now.fleet);
        other("[mail]", *mail != now.mail);
        other("[centre]", *centre != now.centre);
        other("[telemetry]", *telemetry != now.telemetry);
        other("[alerts]", *alerts != now.alerts);
        keys
    }
}
