//! Before an expression is used: names, functions and operators are known ones, and what asks whether an attribute is set
//! is written as a comparison.

use std::collections::BTreeSet;

use cel::common::ast::{
    CallExpr, Expr as Node, IdedExpr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators,
};

use super::{ALWAYS, ExprError, FUNCTIONS, LISTS, NESTED, OPERATORS};
use crate::model::further_attribute;
use crate::policy::GroupSelector;

/// Looks at every node: only known names, and `has(user.NAME)` becomes a comparison with null.
pub(super) struct Check<'a> {
    pub(super) source: &'a SourceInfo,
    pub(super) names: BTreeSet<&'static str>,
    pub(super) named_groups: Vec<GroupSelector>,
    pub(super) looks_through_groups: bool,
    /// Variables of the macros around the node.
    pub(super) bound: Vec<String>,
    pub(super) depth: usize,
}

impl Check<'_> {
    fn refuse(&self, id: u64, what: String, remedy: String) -> ExprError {
        let position = self.source.offset_for(id).map(|(start, _)| {
            let before = self.source.source.chars().take(start as usize);
            let (mut line, mut column) = (1, 1);
            for c in before {
                if c == '\n' {
                    (line, column) = (line + 1, 1);
                } else {
                    column += 1;
                }
            }
            (line, column)
        });
        ExprError { position, what, remedy }
    }

    pub(super) fn node(&mut self, node: &mut IdedExpr) -> Result<(), ExprError> {
        let id = node.id;
        match &mut node.expr {
            Node::Literal(_) => Ok(()),
            Node::Ident(name) if name == "groups" => {
                self.looks_through_groups = true;
                Ok(())
            }
            Node::Ident(name) if name.starts_with('@') || self.bound.contains(name) => Ok(()),
            Node::Ident(name) if name == "user" => Err(self.refuse(
                id,
                "“user” alone says nothing".into(),
                "name an attribute, such as user.department".into(),
            )),
            Node::Ident(name) => {
                let what = format!("“{name}” is not known");
                let remedy = "there are user.NAME and groups; a text stands in quotes".into();
                Err(self.refuse(id, what, remedy))
            }
            Node::Select(select) => {
                let SelectExpr { operand, field, test } = select;
                if !matches!(&operand.expr, Node::Ident(name) if name == "user") {
                    let what = format!("“.{field}” does not follow user");
                    return Err(self.refuse(id, what, "only user has attributes: user.NAME".into()));
                }
                let Some(name) = attribute_name(field) else {
                    let what = format!("there is no attribute user.{field}");
                    return Err(self.refuse(id, what, suggestion(field)));
                };
                self.names.insert(name);
                if *test {
                    *test = false;
                    let read = IdedExpr { id, expr: std::mem::take(&mut node.expr) };
                    node.expr = is_set(id, name, read);
                }
                Ok(())
            }
            Node::Call(call) => {
                let known = FUNCTIONS.contains(&call.func_name.as_str())
                    || OPERATORS.iter().any(|(name, _)| *name == call.func_name);
                if !known {
                    let what = format!("there is no function “{}”", call.func_name);
                    return Err(self.refuse(id, what, format!("functions are {}", FUNCTIONS.join(", "))));
                }
                if call.func_name == operators::IN
                    && let [asked, list] = call.args.as_slice()
                    && let (Node::Literal(LiteralValue::String(name)), Node::Ident(list)) =
                        (&asked.expr, &list.expr)
                    && list == "groups"
                {
                    return self.named_group(asked.id, name.inner());
                }
                if let Some(target) = &mut call.target {
                    self.node(target)?;
                }
                call.args.iter_mut().try_for_each(|arg| self.node(arg))
            }
            Node::List(list) => list.elements.iter_mut().try_for_each(|element| self.node(element)),
            Node::Comprehension(macro_) => {
                if self.depth >= NESTED {
                    let what = format!("more than {NESTED} macros stand within each other");
                    return Err(self.refuse(id, what, "split the condition with && or ||".into()));
                }
                if ["user", "groups"].contains(&macro_.iter_var.as_str()) || macro_.iter_var2.is_some() {
                    let what = format!("the variable of a macro cannot be called “{}”", macro_.iter_var);
                    return Err(self.refuse(id, what, "give it one other name, such as g".into()));
                }
                self.node(&mut macro_.iter_range)?;
                self.node(&mut macro_.accu_init)?;
                self.depth += 1;
                self.bound.push(macro_.iter_var.clone());
                self.bound.push(macro_.accu_var.clone());
                self.node(&mut macro_.loop_cond)?;
                self.node(&mut macro_.loop_step)?;
                self.node(&mut macro_.result)?;
                self.bound.truncate(self.bound.len() - 2);
                self.depth -= 1;
                Ok(())
            }
            Node::Map(_) | Node::Struct(_) | Node::Unspecified => Err(self.refuse(
                id,
                "maps and messages have no use here".into(),
                "use texts, numbers, lists, true and false".into(),
            )),
        }
    }

    /// `"NAME" in groups`: only this group has to be known.
    fn named_group(&mut self, id: u64, name: &str) -> Result<(), ExprError> {
        let selector = match GroupSelector::parse(name) {
            Ok(selector) if selector.as_str() == name => selector,
            Ok(_) => {
                let what = "the name of a group has blanks around it".to_owned();
                return Err(self.refuse(id, what, "write it without them".into()));
            }
            Err(error) => {
                return Err(self.refuse(id, error.to_string(), "write a group's name or id".into()));
            }
        };
        if selector.is_pattern() {
            let what = format!("“{name}” is a pattern, and no group has that name");
            let remedy =
                "write groups.exists(g, g.startsWith(\"…\")), which looks through the groups in scope";
            return Err(self.refuse(id, what, remedy.into()));
        }
        if !self.named_groups.contains(&selector) {
            self.named_groups.push(selector);
        }
        Ok(())
    }
}

/// `has(user.NAME)` as a comparison: with null, of a list with the empty list.
fn is_set(id: u64, name: &str, read: IdedExpr) -> Node {
    let nothing = if LISTS.contains(&name) {
        Node::List(ListExpr::new(Vec::new()))
    } else {
        Node::Literal(LiteralValue::Null)
    };
    Node::Call(CallExpr {
        func_name: operators::NOT_EQUALS.to_owned(),
        target: None,
        args: vec![read, IdedExpr { id, expr: nothing }],
    })
}

/// The attributes that an expression may read: what it is called in Graph, the fifteen extension attributes directly.
fn attribute_name(name: &str) -> Option<&'static str> {
    ALWAYS.into_iter().find(|known| *known == name).or_else(|| further_attribute(name).map(|name| &**name))
}

fn suggestion(name: &str) -> String {
    let all = || ALWAYS.into_iter().chain(crate::model::FURTHER_PROPERTIES);
    match all().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) if known != "onPremisesExtensionAttributes" => {
            format!("names are case-sensitive: write user.{known}")
        }
        Some(_) => "write user.extensionAttribute1 to user.extensionAttribute15".into(),
        None => {
            let known: Vec<&str> = all().filter(|name| *name != "onPremisesExtensionAttributes").collect();
            format!("attributes are {}, and extensionAttribute1 to extensionAttribute15", known.join(", "))
        }
    }
}
