//! The questions of a registration template (B3, B4).

use crate::AgentError;
use crate::dialogue::{Decision, Dialogue};
use crate::enrol::stopped;
use std::collections::BTreeMap;
use symbolon_token::{RegistrationTemplate, ValidAnswers};

/// All that is wrong with answers that nobody can be asked about again.
pub(super) fn wrong_answers(errors: &[symbolon_token::AnswerError]) -> AgentError {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    AgentError::usage(format!("the answers do not fit the template: {}", lines.join("; ")))
        .fix("correct the answers and enrol again")
}

/// Asks every question until its answer fits, and the misfits once more at the end.
pub(super) fn ask(
    template: &RegistrationTemplate,
    dialogue: &mut dyn Dialogue,
) -> Result<ValidAnswers, AgentError> {
    let mut answers = BTreeMap::new();
    let mut fields: Vec<String> = template.fields().iter().map(|f| f.id.clone()).collect();
    loop {
        for id in &fields {
            let Some(field) = template.field(id) else { continue };
            loop {
                let answer = dialogue.answer(field)?;
                let problem = match answer.trim() {
                    "" if field.required => "an answer is required".to_owned(),
                    "" => {
                        answers.remove(id);
                        break;
                    }
                    text => match template.check(id, text) {
                        Ok(canonical) => {
                            answers.insert(id.clone(), canonical);
                            break;
                        }
                        Err(e) => e.problem.to_string(),
                    },
                };
                if dialogue.problem(&problem) == Decision::Stop {
                    return Err(stopped());
                }
            }
        }
        match template.validate(&answers) {
            Ok(valid) => return Ok(valid),
            Err(errors) => {
                for error in &errors {
                    if dialogue.problem(&error.to_string()) == Decision::Stop {
                        return Err(wrong_answers(&errors));
                    }
                }
                fields = errors.into_iter().map(|e| e.field).collect();
            }
        }
    }
}
