//! `entrain attributes`: what the attribute rules make of one person, before anything is saved or written.

use clap::Args;
use entrain_domain::Failure;
use entrain_domain::model::AttributeValue;
use entrain_engine::attributes::{AttributePreview, FieldPreview};

use super::{Context, Exit, Target};
use crate::ui::{Page, Tone, table};
use crate::wire;

#[derive(Debug, Args)]
pub(crate) struct AttributesArgs {
    #[command(flatten)]
    target: Target,
    /// The person: object id, user principal name, mail or account id
    #[arg(long, value_name = "WHO")]
    user: String,
}

pub(super) async fn run(cx: &Context<'_>, args: AttributesArgs) -> Result<Exit, Failure> {
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let preview = Box::pin(connected.engine.attributes(&args.user)).await?;
    let result = serde_json::json!({
        "connection": connected.name, "user": preview.user, "fields": preview.fields,
    });
    cx.printer.result(&result, || page(&connected.name, &preview));
    Ok(Exit::Done)
}

fn text(value: Option<&AttributeValue>) -> String {
    match value {
        None => "–".into(),
        Some(AttributeValue::Flag(flag)) => flag.to_string(),
        Some(AttributeValue::Text(text)) => text.to_string(),
        Some(AttributeValue::List(list)) => format!("[{}]", list.join(", ")),
    }
}

fn from(field: &FieldPreview) -> String {
    field.from.clone().unwrap_or_else(|| "(constant)".into())
}

fn page(connection: &str, preview: &AttributePreview) -> Page {
    let mut page = Page::new();
    let mail = preview.user.mail.as_ref().map(|m| format!(" <{m}>")).unwrap_or_default();
    page.toned(Tone::Strong, format!("Attributes of {}{mail} in “{connection}”", preview.user.name));
    if preview.fields.is_empty() {
        page.line("No attribute is mapped. See [attributes] in docs/reference/configuration.md.");
        return page;
    }
    let row = |field: &FieldPreview| {
        vec![
            format!("{}.{}", field.part, field.field),
            from(field),
            text(field.source.as_ref()),
            text(field.value.as_ref()),
            text(field.last_written.as_ref()),
        ]
    };
    let rows: Vec<Vec<String>> = preview.fields.iter().map(row).collect();
    page.gap().append(table(&["field", "from", "source value", "result", "last written"], rows));
    for field in &preview.fields {
        if let Some(problem) = &field.problem {
            page.paragraph(Tone::Warn, "  ! ", format!("{}.{}: {problem}", field.part, field.field));
        }
    }
    page.gap();
    page.toned(
        Tone::Faint,
        "Nothing was written. – stands for no value: the field is left as it is, or left out.",
    );
    page
}
