//! How long the texts of an expression can become, from its tree alone: `replace` and `join` within each other multiply,
//! so that a short expression could ask for more memory than there is.

use cel::common::ast::{Expr as Node, IdedExpr, LiteralValue};

/// Longest text that an expression may come to, in characters, for attributes of [`ATTRIBUTE`] characters.
pub(super) const LIMIT: u64 = 1 << 24;

/// What an attribute is taken for.
const ATTRIBUTE: u64 = 256;

/// Elements of a list that is read from the directory.
const ELEMENTS: u64 = 16;

fn literal(node: &IdedExpr) -> Option<u64> {
    match &node.expr {
        Node::Literal(LiteralValue::String(text)) => Some(text.inner().chars().count() as u64),
        _ => None,
    }
}

/// The most characters that a node gives.
pub(super) fn most(node: &IdedExpr) -> u64 {
    let sum = |nodes: &[IdedExpr]| nodes.iter().map(most).fold(0, u64::saturating_add);
    match &node.expr {
        Node::Literal(_) => literal(node).unwrap_or(1).max(1),
        Node::Ident(_) | Node::Select(_) => ATTRIBUTE,
        Node::List(list) => sum(&list.elements).max(1),
        Node::Call(call) => {
            let target = call.target.as_deref().map_or(0, most);
            match (call.func_name.as_str(), call.args.as_slice()) {
                ("replace", [find, with, ..]) => {
                    let by = match literal(find) {
                        Some(0) | None => most(with).saturating_add(1),
                        Some(found) => most(with).div_ceil(found),
                    };
                    target.saturating_mul(by.max(1))
                }
                ("join", [between, ..]) => target.saturating_mul(most(between).saturating_add(1)),
                (_, args) => target.saturating_add(sum(args)).max(1),
            }
        }
        Node::Comprehension(macro_) => {
            let range = most(&macro_.iter_range);
            let times = if matches!(macro_.iter_range.expr, Node::Select(_) | Node::Ident(_)) {
                ELEMENTS
            } else {
                range
            };
            let each = most(&macro_.loop_step).saturating_add(most(&macro_.loop_cond));
            let rest = most(&macro_.accu_init).saturating_add(most(&macro_.result));
            times.saturating_mul(each).saturating_add(rest)
        }
        _ => 1,
    }
}
