//! How far a run has got: bars on a terminal, plain lines elsewhere, nothing at all where a program listens.

use std::sync::Mutex;
use std::time::Duration;

use entrain_domain::run::Phase;
use entrain_engine::ports::{Event, Progress, SiteQuestion, StepResult};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::page::{Page, Style, Tone, clean};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Moving bars.
    Bars,
    /// A line for each passage.
    Lines,
    /// Not at all.
    Not,
}

/// Progress of one run, on standard error.
pub(crate) struct ProgressBars {
    shown: Shown,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    steps: usize,
    done: usize,
    failed: usize,
    said: usize,
    /// The tenth of the questions to the site that was told last.
    asked: Option<(SiteQuestion, usize)>,
}

/// So many questions to the site take more than ten seconds at its 100 a second.
const LONG: usize = 1_000;

impl ProgressBars {
    /// Progress shown in this way.
    pub(crate) fn new(shown: Shown) -> Self {
        Self { shown, state: Mutex::new(State::default()) }
    }

    fn line(text: &str) {
        let mut page = Page::new();
        page.toned(Tone::Faint, text);
        let _ = std::io::Write::write_all(&mut std::io::stderr(), page.render(Style::Plain).as_bytes());
    }

    fn begin(&self, state: &mut State, text: &str) {
        Self::end_bar(state);
        match self.shown {
            Shown::Not => {}
            Shown::Lines => Self::line(text),
            Shown::Bars => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a fixed template"));
                bar.set_message(clean(text));
                bar.enable_steady_tick(Duration::from_millis(100));
                state.bar = Some(bar);
            }
        }
    }

    fn begin_steps(&self, state: &mut State, steps: usize) {
        Self::end_bar(state);
        (state.steps, state.done, state.failed, state.said) = (steps, 0, 0, 0);
        match self.shown {
            Shown::Not => {}
            Shown::Lines => Self::line(&format!("applying {steps} steps")),
            Shown::Bars => {
                let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
                let template = "  applying {bar:40} {pos}/{len} {msg} {eta}";
                bar.set_style(
                    ProgressStyle::with_template(template).expect("a fixed template").progress_chars("█▉ "),
                );
                state.bar = Some(bar);
            }
        }
    }

    fn step(&self, state: &mut State, result: StepResult) {
        state.done += 1;
        state.failed += usize::from(result == StepResult::Failed);
        match (self.shown, &state.bar) {
            (Shown::Bars, Some(bar)) => {
                bar.inc(1);
                if state.failed > 0 {
                    bar.set_message(format!("({} failed)", state.failed));
                }
            }
            (Shown::Lines, _) => {
                let tenth = state.done * 10 / state.steps.max(1);
                if tenth > state.said || state.done == state.steps {
                    state.said = tenth;
                    Self::line(&format!("  {} of {} steps ended", state.done, state.steps));
                }
            }
            _ => {}
        }
    }

    /// How far questions to the site have got; in lines only where they take more than a few seconds.
    fn asked(shown: Shown, state: &mut State, about: SiteQuestion, (done, of): (usize, usize)) {
        let text = format!("{}: {done} of {of}", about.doing());
        match (shown, &state.bar) {
            (Shown::Bars, Some(bar)) => bar.set_message(text),
            (Shown::Lines, _) if of >= LONG => {
                let tenth = done * 10 / of;
                if state.asked != Some((about, tenth)) {
                    state.asked = Some((about, tenth));
                    Self::line(&format!("  {text}"));
                }
            }
            _ => {}
        }
    }

    fn end_bar(state: &mut State) {
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn finish(&self) {
        Self::end_bar(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for ProgressBars {
    fn report(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = &mut *state;
        match event {
            Event::Phase(Phase::Reading) => self.begin(state, "reading both sides"),
            Event::Phase(Phase::Verifying) => self.begin(state, "reading back what was written"),
            Event::Phase(Phase::Ended) | Event::Planned { steps: 0, .. } => Self::end_bar(state),
            Event::Began { .. }
            | Event::DirectoryChanged { .. }
            | Event::Phase(Phase::Planned | Phase::Applying) => {}
            Event::DirectoryRead { users, groups } => {
                self.begin(state, &format!("directory read: {users} users, {groups} groups"));
            }
            Event::SiteRead { accounts, groups } => {
                self.begin(state, &format!("site read: {accounts} accounts, {groups} groups"));
            }
            Event::SiteAsked { about, done, of } => Self::asked(self.shown, state, about, (done, of)),
            Event::Planned { steps, held } => {
                if held > 0 && self.shown == Shown::Lines {
                    Self::line(&format!("{held} steps are held"));
                }
                self.begin_steps(state, steps);
            }
            Event::Step { done, .. } => self.step(state, done),
            Event::Waiting { what } => match (self.shown, &state.bar) {
                (Shown::Bars, Some(bar)) => bar.set_message(clean(&what)),
                (Shown::Bars, None) | (Shown::Lines, _) => self.begin(state, &format!("waiting: {what}")),
                (Shown::Not, _) => {}
            },
        }
    }
}
