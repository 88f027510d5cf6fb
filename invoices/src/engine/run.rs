//! Walks a rule set's patterns over a document.

use super::catalog::rule_text;
use super::table::{Breach, Count, Live};
use super::{Context, Facts, Finding, Pattern, Rule, RuleSet, Severity};
use crate::xml::{Document, Name, Node};

/// Which elements a pattern has dealt with: one bit each.
struct Claims(Vec<u64>);

impl Claims {
    fn of(document: &Document<'_>) -> Self {
        Self(vec![0; document.len().div_ceil(64)])
    }

    /// Whether nobody took the element before.
    fn free(&self, node: Node<'_>) -> bool {
        self.0[node.id() / 64] & (1 << (node.id() % 64)) == 0
    }

    fn take(&mut self, node: Node<'_>) {
        self.0[node.id() / 64] |= 1 << (node.id() % 64);
    }
}

/// All findings of a rule set, in the order of patterns, contexts and elements; of too many one more than `most`.
pub(crate) fn run<'d>(rules: &RuleSet, document: &'d Document<'d>, facts: &Facts<'d>, most: usize) -> Vec<Finding> {
    let mut judge = Judge {
        rules,
        document,
        facts,
        most,
        findings: Vec::new(),
        counts: Vec::new(),
    };
    for pattern in rules.patterns {
        judge.pattern(pattern);
    }
    judge.findings
}

struct Judge<'r, 'd> {
    rules: &'r RuleSet,
    document: &'d Document<'d>,
    facts: &'r Facts<'d>,
    most: usize,
    findings: Vec<Finding>,
    /// Room for counting, used again and again.
    counts: Vec<Count<'d>>,
}

impl<'d> Judge<'_, 'd> {
    fn pattern(&mut self, pattern: Pattern) {
        let mut claims = Claims::of(self.document);
        for context in pattern {
            let table =
                (!context.table.is_empty()).then(|| (self.rules.tables)().section(context.table).live(self.document));
            self.context(context, table.as_ref(), &mut claims);
        }
    }

    /// Finds the elements that may be of a context by the narrowest index.
    fn context(&mut self, context: &Context, table: Option<&Live>, claims: &mut Claims) {
        let document = self.document;
        let endings = if context.ending.is_empty() {
            &[][..]
        } else {
            Name::ending(context.ending)
        };
        if !context.inside.is_empty() {
            for parent in context.inside.iter().flat_map(|parent| document.all(*parent)) {
                for node in parent.children().filter(|node| context.names.contains(&node.name())) {
                    self.meet(context, table, node, claims);
                }
            }
        } else if !context.ending.is_empty() {
            for node in endings.iter().flat_map(|name| document.all(*name)) {
                if !node.name().local().is_empty() || node.written().ends_with(context.ending) {
                    self.meet(context, table, node, claims);
                }
            }
        } else if context.names.is_empty() {
            for node in document.elements() {
                self.meet(context, table, node, claims);
            }
        } else {
            for node in context.names.iter().flat_map(|name| document.all(*name)) {
                self.meet(context, table, node, claims);
            }
        }
    }

    fn meet(&mut self, context: &Context, table: Option<&Live>, node: Node<'d>, claims: &mut Claims) {
        if self.findings.len() > self.most || !claims.free(node) || !(context.when)(node, self.facts) {
            return;
        }
        claims.take(node);
        for rule in context.rules.iter().copied().flatten() {
            if !(rule.check)(node, self.facts) {
                self.fire(rule, node);
            }
        }
        if let Some(table) = table {
            for breach in table.judge(node, &mut self.counts) {
                self.breach(&breach, node);
            }
        }
    }

    fn fire(&mut self, rule: &'static Rule, node: Node<'d>) {
        let seen = self.document.trace(|| {
            let _fails_again = (rule.check)(node, self.facts);
        });
        let mut values: Vec<String> = Vec::new();
        for seen in &seen {
            let value = self.document.show(seen);
            if values.len() < 12 && !values.contains(&value) {
                values.push(value);
            }
        }
        let text = rule_text(rule.id);
        self.push(rule.id, rule.severity, node, text.message, text.term, values, text.fix);
    }

    fn breach(&mut self, breach: &Breach<'d>, node: Node<'d>) {
        let row = breach.row;
        let at = breach.first.unwrap_or(node);
        let values = vec![format!("{} found", breach.count)];
        self.push(row.id, row.severity, node, &row.message, "", values, &row.fix);
        if let Some(finding) = self.findings.last_mut() {
            finding.line = at.line();
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        rule: &'static str,
        severity: Severity,
        node: Node<'d>,
        message: &'static str,
        term: &'static str,
        values: Vec<String>,
        fix: &'static str,
    ) {
        self.findings.push(Finding {
            rule: rule.into(),
            set: self.rules.set,
            severity,
            message: message.into(),
            term: term.into(),
            location: node.location(),
            line: node.line(),
            values,
            fix: fix.into(),
        });
    }
}
