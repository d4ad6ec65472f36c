//! What an enrolment asks a person, at the terminal.

use symbolon_agent::{AgentError, Decision, Dialogue, GatewayInfo, PinPurpose, Step};
use symbolon_token::{Field, FieldKind, RegistrationTemplate};

use crate::output::{Output, printable};
use crate::pin::{self, PinArgs};
use crate::terminal;

/// How often a person may try again before we give up on both.
const PATIENCE: usize = 20;

/// What the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Whether the gateway is the right one, the template's questions, the PIN.
    Everything,
    /// The template's questions and the PIN: whoever calls trusts the link.
    AllButTheGateway,
    /// The PIN: the answers are in a file.
    PinAlone,
}

/// A conversation with the person at the terminal, or with nobody.
pub(crate) struct Conversation {
    output: Output,
    pin: PinArgs,
    asking: Asking,
    patience: usize,
}

impl Conversation {
    /// A conversation; a PIN file answers for the PIN.
    pub(crate) fn new(output: Output, pin: PinArgs, asking: Asking) -> Self {
        Self { output, pin, asking, patience: PATIENCE }
    }
}

impl Dialogue for Conversation {
    fn gateway(&mut self, gateway: &GatewayInfo) -> Decision {
        let shown = format!(
            "The gateway at {} has proved that it is\n  {}\nissuer  {}",
            printable(&gateway.address),
            printable(&gateway.name),
            printable(&gateway.issuer)
        );
        if self.asking != Asking::Everything || !terminal::is_there() {
            self.output.note(&shown);
            return Decision::Continue;
        }
        let waits = if gateway.awaits_approval {
            "\nAn administrator will have to approve the registration."
        } else {
            ""
        };
        let answer = terminal::say(&(shown + waits)).and_then(|()| terminal::ask("Register there? [Y/n] "));
        match answer.as_deref().map(str::trim) {
            Ok("" | "y" | "Y" | "yes" | "Yes") => Decision::Continue,
            _ => Decision::Stop,
        }
    }

    fn template(&mut self, template: &RegistrationTemplate) {
        if self.asking != Asking::PinAlone {
            // without a terminal the first question complains of it
            let text = format!("\n{}\n{}", printable(template.title()), printable_lines(template.intro()));
            let _ = terminal::say(text.trim_end());
        }
    }

    fn answer(&mut self, field: &Field) -> Result<String, AgentError> {
        let question = question(field);
        let answer = terminal::ask(&question).map_err(|mut complaint| {
            if complaint.code == "no-terminal" {
                complaint.message =
                    "the gateway asks questions, and there is no terminal to answer on".to_owned();
                complaint.fix = Some("give the answers in a file: --answers FILE".to_owned());
            }
            AgentError::from(complaint)
        })?;
        Ok(chosen(field, answer))
    }

    fn pin(&mut self, purpose: PinPurpose) -> Result<String, AgentError> {
        let mut text = match (&self.pin.pin_file, purpose) {
            (Some(file), _) => pin::read_file(file)?,
            (None, PinPurpose::Device) => pin::prompt("PIN of the device: ")?,
            (None, PinPurpose::Unlock) => pin::prompt("PIN of your token: ")?,
            (None, PinPurpose::New) => {
                terminal::say("\nChoose a PIN or pass phrase for the token, of 6 characters or more.")?;
                pin::prompt_twice("PIN")?
            }
        };
        Ok(std::mem::take(&mut *text))
    }

    fn problem(&mut self, text: &str) -> Decision {
        self.patience = self.patience.saturating_sub(1);
        let from_file = text.contains("PIN") && self.pin.pin_file.is_some();
        if self.patience == 0 || from_file || terminal::say(&format!("  {}", printable(text))).is_err() {
            return Decision::Stop;
        }
        Decision::Continue
    }

    fn progress(&mut self, step: Step) {
        if !matches!(step, Step::Verified) {
            self.output.note(&format!("… {step}"));
        }
    }
}

/// The question, its help, its options, and whether it may be left out.
fn question(field: &Field) -> String {
    let mut text = String::from("\n");
    if !field.help.is_empty() {
        text.push_str(&format!("  {}\n", printable_lines(&field.help).replace('\n', "\n  ")));
    }
    if let FieldKind::Choice { options } | FieldKind::MultiChoice { options } = &field.kind {
        for (n, option) in options.iter().enumerate() {
            text.push_str(&format!("  {}) {}\n", n + 1, printable(option)));
        }
    }
    let hint = match &field.kind {
        FieldKind::Boolean => " (yes or no)",
        FieldKind::Date => " (year-month-day)",
        FieldKind::MultiChoice { .. } => " (one or more, with commas)",
        _ => "",
    };
    let optional = if field.required { "" } else { " (may be left empty)" };
    text.push_str(&format!("{}{hint}{optional}: ", printable(&field.label)));
    text
}

/// An option may be chosen by its number, unless the options are numbers themselves.
fn chosen(field: &Field, answer: String) -> String {
    let (FieldKind::Choice { options } | FieldKind::MultiChoice { options }) = &field.kind else {
        return answer;
    };
    let option = |typed: &str| {
        let typed = typed.trim();
        let by_number = typed.parse::<usize>().ok().and_then(|n| options.get(n.checked_sub(1)?));
        match by_number {
            Some(option) if !options.iter().any(|o| o == typed) => option.clone(),
            _ => typed.to_owned(),
        }
    };
    answer.split(',').map(option).collect::<Vec<_>>().join(", ")
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldKind) -> Field {
        Field { id: "x".into(), label: "Services".into(), help: "Choose.".into(), kind, required: false }
    }

    fn options(texts: [&str; 3]) -> Vec<String> {
        texts.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_question_shows_help_options_and_whether_it_may_be_left_out() {
        let text = question(&field(FieldKind::MultiChoice { options: options(["a", "b", "c"]) }));
        let expected =
            "\n  Choose.\n  1) a\n  2) b\n  3) c\nServices (one or more, with commas) (may be left empty): ";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_option_may_be_chosen_by_its_number() {
        let choice = field(FieldKind::Choice { options: options(["red", "green", "blue"]) });
        assert_eq!(chosen(&choice, "2".into()), "green");
        assert_eq!(chosen(&choice, "blue".into()), "blue");
        assert_eq!(chosen(&choice, "9".into()), "9");
        let several = field(FieldKind::MultiChoice { options: options(["red", "green", "blue"]) });
        assert_eq!(chosen(&several, "1, blue".into()), "red, blue");
        let numbers = field(FieldKind::Choice { options: options(["3", "2", "1"]) });
        assert_eq!(chosen(&numbers, "1".into()), "1");
    }
}
