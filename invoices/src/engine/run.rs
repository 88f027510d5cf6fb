//! Walks a rule set's patterns over a document: once, for all patterns, so that what belongs together is looked at
//! together and a large document costs no more per line than a small one.

use super::catalog::rule_text;
use super::plan::{Candidate, Plan};
use super::table::{Breach, Count, Live};
use super::{Facts, Finding, Rule, RuleSet, Severity};
use crate::xml::{Document, Node};

/// All findings of a rule set, in the order of patterns, contexts and elements; of too many one more than `most`.
pub(crate) fn run<'d>(
    rules: &'static RuleSet,
    document: &'d Document<'d>,
    facts: &Facts<'d>,
    most: usize,
) -> Vec<Finding> {
    let plan = rules.plan.get_or_init(|| Plan::of(rules.patterns));
    let mut judge = Judge {
        rules,
        document,
        facts,
        context: 0,
        findings: Vec::new(),
        counts: Vec::new(),
        tables: (0..plan.contexts).map(|_| None).collect(),
    };
    for node in document.elements() {
        judge.element(node, plan.candidates(node.name()));
        if judge.findings.len() > most {
            break;
        }
    }
    // Stable: those of one context stay in the order of the document.
    judge.findings.sort_by_key(|(context, _)| *context);
    judge.findings.truncate(most.saturating_add(1));
    judge.findings.into_iter().map(|(_, finding)| finding).collect()
}

struct Judge<'r, 'd> {
    rules: &'static RuleSet,
    document: &'d Document<'d>,
    facts: &'r Facts<'d>,
    /// Number of the context that an element is judged by.
    context: usize,
    findings: Vec<(usize, Finding)>,
    /// Room for counting, used again and again.
    counts: Vec<Count<'d>>,
    /// Tables by context, as far as any element met it.
    tables: Vec<Option<Live>>,
}

impl<'d> Judge<'_, 'd> {
    /// Judges an element by the first context of each pattern that takes it.
    fn element(&mut self, node: Node<'d>, candidates: &[Candidate]) {
        let mut done = None;
        for candidate in candidates {
            if done != Some(candidate.pattern)
                && candidate.context.reaches(node)
                && (candidate.context.when)(node, self.facts)
            {
                done = Some(candidate.pattern);
                self.meet(candidate, node);
            }
        }
    }

    fn meet(&mut self, candidate: &Candidate, node: Node<'d>) {
        self.context = candidate.number;
        for rule in candidate.context.rules.iter().copied().flatten() {
            if !(rule.check)(node, self.facts) {
                self.fire(rule, node);
            }
        }
        if !candidate.context.table.is_empty() {
            let table = self.tables[candidate.number].get_or_insert_with(|| {
                let table = (self.rules.tables)().section(candidate.context.table);
                table.live(self.document)
            });
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
        if let Some((_, finding)) = self.findings.last_mut() {
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
        let finding = Finding {
            rule: rule.into(),
            set: self.rules.set,
            severity,
            message: message.into(),
            term: term.into(),
            location: node.location(),
            line: node.line(),
            values,
            fix: fix.into(),
        };
        self.findings.push((self.context, finding));
    }
}
