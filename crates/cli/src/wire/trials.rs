//! Documents and expressions, tried over what was last read.

use entrain_domain::model::{AttributeValue, DirectoryUser};
use entrain_domain::plan::Person;
use entrain_domain::policy::expr::{Expr, ExprError, Facts};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::what_if::WhatIf;
use entrain_server::service::Answer;
use entrain_server::trials::{Compared, DocumentTrial, ExpressionTrial, Trials, Trouble};
use entrain_store::StoredConnection;

use super::rulebook::{faults, in_time};
use super::service::{Wired, environment, named};
use super::{build, stored};
use crate::config::Document;
use crate::config::document::Secrets;

fn trouble(error: ExprError) -> Trouble {
    Trouble { position: error.position, what: error.what, remedy: error.remedy }
}

/// What an attribute made of this expression would be written with for a person.
fn made(expression: &Expr, user: &DirectoryUser) -> Result<Option<AttributeValue>, Trouble> {
    if expression.reads_groups() {
        return Err(Trouble {
            position: None,
            what: "it looks at groups, which attributes do not know".into(),
            remedy: "write an expression over user alone, such as \"user.department\"".into(),
        });
    }
    let text = expression.text(&Facts { user, groups: &[] }).map_err(trouble)?;
    let text = text.filter(|text| !text.trim().is_empty());
    Ok(text.map(|text| AttributeValue::Text(text.into())))
}

impl Wired {
    async fn document_trial(&self, connection: &str, text: &str) -> Result<DocumentTrial, Failure> {
        let refused = |faults| DocumentTrial { faults, compared: Compared::Nothing };
        let document = match Document::parse(text, "the document") {
            Ok(_) => named(text, connection)?,
            Err(error) => return Ok(refused(faults(error))),
        };
        let known = self.store.get(document.name()).await.map_err(|e| e.failure())?;
        let none = Secrets::new();
        let kept = known.as_ref().map_or(&none, |known| &known.document.secrets);
        if let Err(error) = document.resolve(&environment, kept) {
            return Ok(refused(faults(error)));
        }
        let Some(known) = known else { return Ok(refused(Vec::new())) };
        let compared = match self.compared(&document, &known).await {
            Ok(None) => Compared::Nothing,
            Ok(Some(found)) => Compared::Plans {
                new: found.new.iter().map(ToString::to_string).collect(),
                gone: found.gone.iter().map(ToString::to_string).collect(),
                plan: found.preview.document,
            },
            Err(failure) => Compared::Failed(failure),
        };
        Ok(DocumentTrial { faults: Vec::new(), compared })
    }

    async fn compared(
        &self,
        document: &Document,
        known: &StoredConnection,
    ) -> Result<Option<WhatIf>, Failure> {
        // A document of an older version that this one refuses has no rules to compare with
        let before = Document::parse(&known.document.document, document.name())?;
        let tried =
            build(&environment, &self.lasting, self.store.clone(), document, &known.document.secrets)?;
        Box::pin(tried.engine.what_if(&before.meaning().rules)).await
    }

    async fn expression_trial(
        &self,
        connection: &str,
        text: &str,
        who: &str,
    ) -> Result<ExpressionTrial, Failure> {
        let unknown = || {
            Failure::new(
                FailureCode::ObjectUnknown,
                FailureClass::Local,
                "nobody, or more than one, of those who were last read answers to it",
                "name the person by object id, whole address or account id; a run reads who is new",
            )
            .of(who)
        };
        let id = self.meant(connection, who).await?.ok_or_else(unknown)?;
        let (user, _) = self.store.mirrored_user(connection, &id).await.map_err(|e| e.failure())?;
        let user = user.ok_or_else(unknown)?;
        let link = self.store.link_of(connection, &id).await.map_err(|e| e.failure())?;
        let person = Person {
            name: user.label().into(),
            directory_id: Some(id),
            site_id: link.map(|link| link.account),
            mail: user.address(),
        };
        let document = stored(&self.store, connection).await?.document.document;
        let read = Document::parse(&document, connection)?.meaning().rules.demand().attributes;
        let turn = self.bench.turn().await?;
        let text = text.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            let tried = match Expr::compile(&text) {
                Ok(expression) => {
                    let unread: Vec<String> = expression.attributes().difference(&read).cloned().collect();
                    (made(&expression, &user), unread)
                }
                Err(error) => (Err(trouble(error)), Vec::new()),
            };
            drop(turn);
            tried
        });
        let (outcome, unread) = in_time(work).await?;
        let note = || {
            format!(
                "Not read so far, and therefore as if it were not set: {}. The next run under rules that use it reads it.",
                unread.join(", ")
            )
        };
        let notes = if unread.is_empty() { Vec::new() } else { vec![note()] };
        Ok(ExpressionTrial { user: person, outcome, notes })
    }
}

impl Trials for Wired {
    fn try_document<'a>(&'a self, connection: &'a str, document: &'a str) -> Answer<'a, DocumentTrial> {
        Box::pin(self.document_trial(connection, document))
    }
    fn try_expression<'a>(
        &'a self,
        connection: &'a str,
        expression: &'a str,
        who: &'a str,
    ) -> Answer<'a, ExpressionTrial> {
        Box::pin(self.expression_trial(connection, expression, who))
    }
}
