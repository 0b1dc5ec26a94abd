//! `pgpurpose demo --lesson`: ten minutes of training on the running shop.
//!
//! In: what the learner types, from standard input. Out: a line in the register of the shop, and of another database where one is named, signed
//! with the access log's key; the line is a record of the access log too. Each step is held against what really happened: the access log, and
//! the database behind the proxy.

mod desk;
mod planted;
mod seen;
mod text;
mod walk;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{DemoArgs, DemoError, register};
use crate::cli::training;
use crate::cluster::Cluster;
use crate::requests::lessons::Passed;
use desk::Desk;
use text::Lesson;
pub use text::LessonName;
use walk::{Class, Ended};

/// What a lesson is held with.
struct Setting {
    name: LessonName,
    learner: String,
    listen: SocketAddr,
    /// The folder of the server's socket, and its port.
    socket: PathBuf,
    server_port: u16,
    /// The shop's folder, and the configuration with which its requests are answered.
    folder: PathBuf,
    officer_config: PathBuf,
    /// The configuration of another register.
    register: Option<PathBuf>,
}

/// A lesson that begins as soon as the proxy answers, and ends the demo.
pub(super) struct Running {
    setting: Arc<Setting>,
    ended: Arc<Mutex<Option<Result<(), String>>>>,
}

impl Running {
    /// # Errors
    /// Nobody says who learns.
    pub(super) fn new(name: LessonName, args: &DemoArgs, cluster: &Cluster) -> Result<Self, DemoError> {
        let learner = args.learner.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_default();
        let learner = learner.trim().to_owned();
        if learner.is_empty() || learner.chars().count() > 200 || learner.chars().any(char::is_control) {
            return Err(DemoError::Lesson("say who learns with --learner, in at most 200 characters".to_owned()));
        }
        let setting = Setting {
            name,
            learner,
            listen: args.listen,
            socket: cluster.socket_dir(),
            server_port: cluster.port(),
            folder: cluster.root().to_owned(),
            officer_config: register::officer_config(cluster.root()),
            register: args.register.clone(),
        };
        Ok(Self { setting: Arc::new(setting), ended: Arc::default() })
    }

    /// What is called once the proxy answers.
    pub(super) fn when_ready(&self) -> Box<dyn FnOnce() + Send> {
        let (setting, ended) = (Arc::clone(&self.setting), Arc::clone(&self.ended));
        Box::new(move || {
            // The proxy's thread goes on serving.
            thread::spawn(move || {
                let result = hold(&setting).map_err(|Ended(why)| why);
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                // As Ctrl-C would: sessions are closed, the log is, the cluster goes.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
            });
        })
    }

    /// How it ended.
    ///
    /// # Errors
    /// [`DemoError::Lesson`] where it was not passed.
    pub(super) fn result(&self) -> Result<(), DemoError> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.unwrap_or_else(|| Err("the demo was ended".to_owned())).map_err(DemoError::Lesson)
    }
}

fn hold(setting: &Setting) -> Result<(), Ended> {
    let lesson = Lesson::load(setting.name).map_err(Ended)?;
    let mut desk = Desk::new(setting)?;
    if lesson.snooper {
        planted::play(&desk)?;
    }
    let stdin = io::stdin();
    let echo = !stdin.is_terminal();
    let mut class = Class { input: stdin.lock(), out: io::stdout(), echo };
    let result = class.hold(&lesson, &mut desk)?;
    let small = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let passed = Passed {
        learner: setting.learner.clone(),
        lesson: setting.name.name(),
        edition: setting.name.edition(),
        at: jiff::Timestamp::now(),
        steps: small(result.steps),
        right: small(result.right),
        questions: small(result.questions),
    };
    for config in std::iter::once(&setting.officer_config).chain(&setting.register) {
        let signed = training::enter(config, &passed).map_err(Ended)?;
        say(&format!(
            "In the register of `{}`: {} passed `{}` on {}, {signed}.",
            config.display(),
            passed.learner,
            passed.lesson,
            passed.at
        ))?;
    }
    Ok(())
}

fn say(line: &str) -> Result<(), Ended> {
    use std::io::Write;
    writeln!(io::stdout(), "{line}").map_err(Ended::from)
}
