//! The table of pages. Every address, every form and who may use it is here, and nowhere else.

use std::future::Future;
use std::pin::Pin;

use entrain_domain::service::Role;

use super::visit::{Reply, Visit};
use super::wizard::{first as wizard_first, scope as wizard_scope, sides as wizard_sides};
use super::{
    account, audit, chain, connections, find, microsoft, overview, part, people, plan, reports, rules, runs,
    settings, sign_in, wizard,
};
use crate::api::routes::Verb;
use crate::problem::Problem;

/// Who may open a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Whoever comes.
    Anyone,
    /// Whoever is signed in, also with a password that was handed to them and is to be changed first.
    SignedIn,
    /// Whoever is signed in with at least this role, and with a password of their own.
    Role(Role),
}

/// What a handler gives back, in time.
pub(crate) type Doing = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// One page, or one form that is sent.
pub(crate) struct Page {
    pub(crate) method: Verb,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) entry: Entry,
    /// Fields of the address or of the form; `name[]` may come several times.
    pub(crate) takes: &'static [&'static str],
    pub(crate) handler: fn(Visit) -> Doing,
}

macro_rules! page {
    ($method:ident $path:literal $id:ident Anyone $takes:expr, $handler:path) => {
        page!(@ $method $path $id Entry::Anyone, $takes, $handler)
    };
    ($method:ident $path:literal $id:ident SignedIn $takes:expr, $handler:path) => {
        page!(@ $method $path $id Entry::SignedIn, $takes, $handler)
    };
    ($method:ident $path:literal $id:ident $role:ident $takes:expr, $handler:path) => {
        page!(@ $method $path $id Entry::Role(Role::$role), $takes, $handler)
    };
    (@ $method:ident $path:literal $id:ident $entry:expr, $takes:expr, $handler:path) => {
        Page {
            method: Verb::$method,
            path: $path,
            id: stringify!($id),
            entry: $entry,
            takes: &$takes,
            handler: |visit| Box::pin($handler(visit)),
        }
    };
}

/// Everything that the console shows and does.
pub(crate) static PAGES: &[Page] = &[
    page!(Get "/sign-in" sign_in_page Anyone ["next"], sign_in::page),
    page!(Post "/sign-in" sign_in Anyone ["name", "password", "next"], sign_in::sign_in),
    page!(Get "/sign-in/microsoft" microsoft Anyone ["next"], microsoft::begin),
    page!(Get "/sign-in/microsoft/callback" microsoft_callback Anyone ["code", "state", "session_state", "client_info",
        "iss", "error", "error_description", "error_subcode", "error_uri", "error_codes", "timestamp", "trace_id",
        "correlation_id"], microsoft::callback),
    page!(Post "/sign-out" sign_out SignedIn [], sign_in::sign_out),
    page!(Get "/first/{link}" first_page Anyone [], sign_in::first_page),
    page!(Post "/first/{link}" first Anyone ["name", "password", "again"], sign_in::first),
    page!(Get "/enter/{link}" enter_page Anyone [], sign_in::enter_page),
    page!(Post "/enter/{link}" enter Anyone [], sign_in::enter),
    page!(Post "/theme" theme Anyone ["theme", "next"], account::theme),
    page!(Get "/account/new-password" new_password SignedIn ["next"], account::choose_page),
    page!(Post "/account/new-password" choose_password SignedIn ["password", "again", "next"], account::choose),
    page!(Get "/account" account_page Viewer [], account::page),
    page!(Post "/account/password" change_password Viewer ["old", "password", "again"], account::password),
    page!(Post "/account/sessions/end" end_session Viewer ["session"], account::end_session),
    page!(Get "/help/shortcuts" shortcuts Viewer [], account::shortcuts),
    page!(Get "/" home Viewer [], overview::home),
    page!(Get "/connections/{connection}" overview Viewer [], overview::page),
    page!(Get "/connections/{connection}/lives" lives Viewer [], overview::lives),
    page!(Get "/connections" connections Viewer [], connections::list),
    page!(Get "/connections/{connection}/setup" setup Viewer [], connections::setup),
    page!(Post "/connections/{connection}/mode" set_mode Administrator ["mode"], connections::mode),
    page!(Post "/connections/{connection}/check" check Operator [], connections::check),
    page!(Post "/connections/{connection}/plan" make_plan Operator ["full"], connections::plan),
    page!(Post "/connections/{connection}/sync" sync Operator ["full"], connections::sync),
    page!(Get "/connections/{connection}/plans" plans Viewer [], plan::plans),
    page!(Get "/connections/{connection}/preview" preview Viewer ["show", "find", "from"], plan::preview),
    page!(Get "/connections/{connection}/preview/why" preview_why Viewer ["who"], plan::preview_why),
    page!(Get "/connections/{connection}/runs" runs Viewer ["before"], runs::list),
    page!(Get "/runs/{run}" run Viewer ["show", "from"], runs::page),
    page!(Get "/runs/{run}/events" run_events Viewer [], runs::events),
    page!(Post "/runs/{run}/stop" stop Operator [], runs::stop),
    page!(Post "/runs/{run}/undo" undo Approver [], runs::undo_run),
    page!(Get "/runs/{run}/plan" plan Viewer ["show", "find", "from"], plan::page),
    page!(Get "/runs/{run}/why" why Viewer ["who"], plan::why),
    page!(Post "/runs/{run}/ticks" tick Approver ["shown[]", "section[]", "person[]", "step[]", "find", "to"],
        part::tick),
    page!(Get "/runs/{run}/part" part Approver [], part::page),
    page!(Post "/runs/{run}/approve" approve Approver ["number", "reason", "accept_empty", "section[]", "person[]",
        "step[]"], plan::approve),
    page!(Post "/runs/{run}/reject" reject Approver [], plan::reject),
    page!(Get "/connections/{connection}/people" people Viewer ["find"], people::people),
    page!(Get "/connections/{connection}/person" person Viewer ["who", "group"], people::person),
    page!(Post "/connections/{connection}/person/sync" sync_person Operator ["who"], people::sync),
    page!(Get "/connections/{connection}/groups" groups Viewer ["find"], people::groups),
    page!(Get "/connections/{connection}/group" group Viewer ["which", "from"], people::group),
    page!(Get "/connections/{connection}/rules" rules Viewer [], rules::first),
    page!(Get "/connections/{connection}/rules/document" rules_document Viewer [], rules::page),
    page!(Post "/connections/{connection}/rules/try" try_rules Administrator ["document"], rules::attempt),
    page!(Post "/connections/{connection}/rules" save_rules Administrator ["document", "base", "tried", "why"],
        rules::save),
    page!(Get "/connections/{connection}/rules/versions" rule_versions Viewer ["from", "to"], rules::versions::page),
    page!(Post "/connections/{connection}/rules/back" rules_back Administrator ["version"], rules::versions::back),
    page!(Get "/connections/{connection}/rules/export" rules_export Viewer ["version"], rules::versions::export),
    page!(Post "/connections/{connection}/rules/import" rules_import Administrator ["document", "what"],
        rules::versions::import),
    page!(Get "/connections/{connection}/rules/{topic}" rules_form Viewer [], rules::form::page),
    page!(Post "/connections/{connection}/rules/{topic}" say_rules Administrator rules::TAKES, rules::form::say),
    page!(Get "/setup" wizard Administrator [], wizard::list),
    page!(Post "/setup" wizard_begin Administrator [], wizard::begin),
    page!(Get "/setup/{draft}" wizard_resume Administrator [], wizard::resume),
    page!(Post "/setup/{draft}/remove" wizard_remove Administrator [], wizard::remove),
    page!(Get "/setup/{draft}/directory" wizard_directory Administrator [], wizard_sides::directory_page),
    page!(Post "/setup/{draft}/directory" wizard_say_directory Administrator ["name", "tenant_id", "client_id", "proof",
        "client_secret", "client_secret_expires", "certificate", "private_key", "federated_token_file", "cloud",
        "authority_url", "graph_url", "scope", "do"], wizard_sides::directory),
    page!(Get "/setup/{draft}/site" wizard_site Administrator [], wizard_sides::site_page),
    page!(Post "/setup/{draft}/site" wizard_say_site Administrator ["url", "admin_email", "api_token",
        "api_token_expires", "organization_id", "organization_directory_id", "organization_key",
        "organization_key_expires", "organization_url", "do"], wizard_sides::site),
    page!(Get "/setup/{draft}/scope" wizard_scope Administrator ["find", "from"], wizard_scope::page),
    page!(Post "/setup/{draft}/scope" wizard_say_scope Administrator ["import_users", "import_groups",
        "sync_memberships", "users", "assigned_to", "guests", "patterns", "shown[]", "pick[]", "drop[]", "find",
        "do"], wizard_scope::say),
    page!(Get "/setup/{draft}/preview" wizard_preview Administrator ["show", "find", "from"], wizard_first::preview),
    page!(Post "/setup/{draft}/preview" wizard_plan Administrator [], wizard_first::plan),
    page!(Get "/setup/{draft}/preview/why" wizard_why Administrator ["who"], wizard_first::why),
    page!(Get "/setup/{draft}/sync" wizard_sync Administrator [], wizard_first::sync_page),
    page!(Post "/setup/{draft}/sync" wizard_start Administrator [], wizard_first::sync),
    page!(Get "/setup/{draft}/schedule" wizard_schedule Administrator [], wizard_first::schedule_page),
    page!(Post "/setup/{draft}/schedule" wizard_finish Administrator ["every", "mode", "do"], wizard_first::schedule),
    page!(Get "/search" search Viewer ["q"], find::page),
    page!(Get "/connections/{connection}/reports" reports Viewer [], reports::list),
    page!(Get "/connections/{connection}/reports/{report}" report Viewer ["group", "at", "from"], reports::page),
    page!(Get "/connections/{connection}/reports/{report}/csv" report_table Viewer ["group", "at"], reports::table),
    page!(Get "/audit/export" audit_export Viewer ["format"], reports::audit),
    page!(Get "/audit" audit Viewer ["who", "kind", "object", "from", "to", "before"], audit::list),
    page!(Get "/audit/chain" audit_chain Viewer [], chain::page),
    page!(Post "/audit/chain" check_chain Viewer [], chain::check),
    page!(Get "/settings" settings Viewer [], settings::first),
    page!(Get "/settings/accounts" accounts Administrator ["from"], settings::accounts::list),
    page!(Post "/settings/accounts" make_account Administrator ["name", "role"], settings::accounts::make),
    page!(Get "/settings/accounts/{account}" account_settings Administrator [], settings::accounts::page),
    page!(Post "/settings/accounts/{account}/role" set_role Administrator ["role"], settings::accounts::set_role),
    page!(Post "/settings/accounts/{account}/password" give_password Administrator [], settings::accounts::password),
    page!(Post "/settings/accounts/{account}/disable" disable_account Administrator [], settings::accounts::disable),
    page!(Post "/settings/accounts/{account}/enable" enable_account Administrator [], settings::accounts::enable),
    page!(Post "/settings/accounts/{account}/sign-out" sign_out_account Administrator [], settings::accounts::sign_out),
    page!(Get "/settings/keys" keys Administrator ["from"], settings::keys::list),
    page!(Post "/settings/keys" make_key Administrator ["name", "days", "role"], settings::keys::make),
    page!(Get "/settings/keys/{key}" key_settings Administrator [], settings::keys::page),
    page!(Post "/settings/keys/{key}/revoke" revoke_key Administrator [], settings::keys::revoke),
    page!(Get "/settings/alerts" alerts Viewer ["from"], settings::alerts::list),
    page!(Post "/settings/alerts/test" test_alerts Operator ["connection", "channel"], settings::alerts::test),
    page!(Post "/settings/alerts/{alert}/acknowledge" acknowledge_alert Operator ["note"],
        settings::alerts::acknowledge),
    page!(Get "/settings/backups" backups Administrator [], settings::backups::page),
    page!(Post "/settings/backups" make_backup Administrator [], settings::backups::make),
    page!(Get "/settings/about" about Viewer [], settings::about::page),
];
