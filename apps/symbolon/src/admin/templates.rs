//! `admin templates`: what the gateway asks of whoever registers.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use symbolon_policy::TemplateName;
use symbolon_token::RegistrationTemplate;

use super::listing::{Done, Listing};
use super::{Desk, path};
use crate::exit::{AtPath as _, Complaint, Outcome};
use crate::output::{Page, Report};

const TEMPLATES: &str = "/v1/templates";

/// What can be done about templates.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplatesCommand {
    /// List all templates
    List,
    /// Print a template as a file that `put` takes
    Show {
        /// The template's name
        name: TemplateName,
    },
    /// Add a template, or change one
    Put {
        /// The template's name, the same as in the file
        name: TemplateName,
        /// The template as TOML; start from one that `show` prints
        file: PathBuf,
    },
    /// Remove a template
    Remove {
        /// The template's name
        name: TemplateName,
    },
}

#[derive(Serialize)]
struct TemplateText {
    name: TemplateName,
    toml: String,
}

impl Report for TemplateText {
    fn write(&self, page: &mut Page) {
        page.line(self.toml.trim_end());
    }
}

pub(super) async fn run(desk: &Desk<'_>, command: TemplatesCommand) -> Outcome {
    let output = desk.global.output();
    match command {
        TemplatesCommand::List => {
            let columns =
                [("NAME", "name"), ("QUESTIONS", "fields"), ("REVISION", "rev"), ("TITLE", "title")];
            output.report(&Listing::new(
                "templates",
                desk.node.get(TEMPLATES).await?,
                columns,
                "No templates.",
            ));
        }
        TemplatesCommand::Show { name } => {
            let toml = desk.node.get_text(&path(TEMPLATES, [name.as_str()])).await?;
            output.report(&TemplateText { name, toml });
        }
        TemplatesCommand::Put { name, file } => {
            let text = std::fs::read_to_string(&file).at(&file)?;
            RegistrationTemplate::from_toml(&text).map_err(|e| {
                Complaint::usage(format!("{}: {e}", file.display())).code("template").fix("correct the file")
            })?;
            let answer = desk.node.put_text(&path(TEMPLATES, [name.as_str()]), text).await?;
            output.report(&Done::new(
                answer,
                format!("Whoever registers by {name} is asked these questions now."),
            ));
        }
        TemplatesCommand::Remove { name } => {
            let answer = desk.node.delete(&path(TEMPLATES, [name.as_str()])).await?;
            output.report(&Done::new(answer, format!("{name} is removed.")));
        }
    }
    Ok(())
}
