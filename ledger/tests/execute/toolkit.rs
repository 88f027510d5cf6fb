//! Cases, coverage, advice and diagrams.

use muniment_ledger::template::Template;
use muniment_ledger::templates::NOTARIZATION;
use muniment_ledger::toolkit::{self, Report, Suite, diagram};

const NOTARIZATION_CASES: &str = include_str!("../../templates/notarization.cases.yaml");

/// Templates that ship with their cases, each in two files.
const SHIPPED: [&str; 4] = ["notarization", "electronic-invoice", "traceability", "ballot"];

fn shipped(name: &str) -> String {
    let path = format!("{}/templates/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn run(source: &str, cases: &str) -> Report {
    let template = Template::compile(source).unwrap();
    let suite = Suite::read(cases, &template).unwrap_or_else(|errors| panic!("{errors:#?}"));
    toolkit::run(source, &template, &suite)
}

#[test]
fn the_cases_of_the_shipped_templates_pass_and_cover_everything() {
    let mut wrong = Vec::new();
    for name in SHIPPED {
        let report = run(&shipped(name), &shipped(&format!("{name}.cases")));
        for case in report.cases.iter().filter(|case| !case.passed) {
            wrong.push(format!("{name}: {case:#?}"));
        }
        for (group, covered) in report.coverage.groups() {
            wrong.extend(
                covered
                    .missing()
                    .map(|missing| format!("{name}: {group}: not covered: {missing}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_in_the_shipped_templates_calls_for_advice() {
    for name in SHIPPED {
        let template = Template::compile(&shipped(name)).unwrap();
        assert_eq!(toolkit::advice(&template), [], "{name}");
    }
}

/// The cases of `notarization`, each line changed by one edit so that a case must fail.
#[test]
fn a_case_that_expects_something_else_fails_and_says_what_was_found() {
    let wrong = [
        (
            "code: DUPLICATE",
            "code: NOT_ALLOWED",
            "outcome",
            "NOT_ALLOWED",
            "DUPLICATE at /input: ",
        ),
        (
            "        code: DUPLICATE\n        about: contract\n",
            "",
            "outcome",
            "accepted",
            "DUPLICATE at /input: ",
        ),
        (
            "state: { document: Withdrawn }",
            "state: { document: Deposited }",
            "state.document",
            "Deposited",
            "Withdrawn",
        ),
        (
            "fields: { reason: the wrong file }",
            "fields: { reason: null }",
            "fields.reason",
            "absent",
            "\"the wrong file\"",
        ),
        ("        version: 2\n", "        version: 3\n", "version", "3", "2"),
        (
            "on: contract\n        input: { reason",
            "on: contract\n        code: NOT_ALLOWED\n        input: { reason",
            "outcome",
            "NOT_ALLOWED",
            "accepted",
        ),
        (
            "about: one",
            "about: { $digest: one }",
            "record that the refusal names",
            "7692",
            "",
        ),
    ];
    for (from, to, what, expected, found) in wrong {
        assert!(NOTARIZATION_CASES.contains(from), "{from}");
        let report = run(NOTARIZATION, &NOTARIZATION_CASES.replacen(from, to, 1));
        let failures: Vec<_> = report.cases.iter().flat_map(|case| &case.failures).collect();
        let told = failures.iter().any(|failure| {
            failure.what == what
                && failure.expected.starts_with(expected)
                && failure.found.starts_with(found)
                && failure.line > 0
        });
        assert!(told && !report.passed(), "{from} -> {to}: {failures:#?}");
    }
}

#[test]
fn what_no_case_touches_is_named() {
    let cases = "members: [alice]\ncases:\n- name: one\n  steps:\n  - by: alice\n    do: deposit\n    input: { digests: \
                 [{ alg: sha-256, value: { $digest: a } }], mode: plain }\n";
    let coverage = run(NOTARIZATION, cases).coverage;
    let missing = coverage
        .groups()
        .map(|(_, group)| group.missing().collect::<Vec<_>>().join("; "));
    let wanted = [
        "document Superseded; document Withdrawn",
        "supersede; withdraw",
        "supersede: document Deposited → Superseded; withdraw: document Deposited → Withdrawn",
        "supersede: SUPERSEDES_ITSELF holds; supersede: SUPERSEDES_ITSELF refuses",
        "",
        "",
    ];
    assert_eq!(missing, wanted);
    assert!(coverage.percent() < 50);
}

#[test]
fn mistakes_in_cases_are_told_where_they_are() {
    let template = Template::compile(NOTARIZATION).unwrap();
    let mistakes = [
        (
            "template: notarization",
            "template: notes",
            (2, 11),
            "these cases are for `notes`",
        ),
        (
            "do: withdraw",
            "do: withdrew",
            (61, 13),
            "there is no action `withdrew`; did you mean `withdraw`?",
        ),
        (
            "by: bob",
            "by: bop",
            (45, 13),
            "there is no party `bop`; did you mean `bob`?",
        ),
        (
            "about: contract\n",
            "about: contact\n",
            (44, 16),
            "there is no record `contact`; did you mean `contract`?",
        ),
        (
            "state: { document: Deposited }",
            "state: { document: Deposit }",
            (22, 28),
            "there is no state `Deposit`",
        ),
        (
            "state: { document: Deposited }",
            "state: { dokument: Deposited }",
            (22, 18),
            "there is no region `dokument`",
        ),
        (
            "fields: { subject: null }",
            "fields: { title: null }",
            (52, 19),
            "the template has no field `title`",
        ),
        (
            "$digest: the contract",
            "$hash: the contract",
            (14, 40),
            "`$hash` is no word",
        ),
        (
            "        on: contract\n        input: { reason",
            "        input: { reason",
            (65, 9),
            "`withdraw` acts on a record: name it with `on`",
        ),
        (
            "strangers: [mallory]",
            "strangers: mallory",
            (4, 12),
            "expected a list, found a string",
        ),
        (
            "        version: 1\n",
            "        verson: 1\n",
            (23, 9),
            "unknown key `verson`; did you mean `version`?",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, place, message) in mistakes {
        assert!(NOTARIZATION_CASES.contains(from), "{from}");
        let found = Suite::read(&NOTARIZATION_CASES.replacen(from, to, 1), &template)
            .map(drop)
            .expect_err(to);
        let told = found.iter().any(|error| {
            (error.line, error.column) == (Some(place.0), Some(place.1)) && error.message.contains(message)
        });
        if !told {
            wrong.push(format!("{to}\n  wanted {place:?} {message}\n  found  {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn advice_names_what_can_never_happen() {
    let template = NOTARIZATION
        .replace("states: [Deposited,", "states: [Lost, Deposited,")
        .replace("      reason:\n", "      colour: { type: boolean }\n      reason:\n")
        .replace(
            "from: { document: [Deposited] }\n      to: { document: Superseded }",
            "from: { document: [Lost] }\n      to: { document: Superseded }",
        );
    let found = toolkit::advice(&Template::compile(&template).unwrap());
    let paths: Vec<_> = found.iter().map(|advice| advice.path.as_str()).collect();
    let wanted = [
        "spec.regions.document.states",
        "spec.regions.document.states",
        "spec.actions.supersede.from.document",
        "spec.fields.properties.colour",
    ];
    assert_eq!(paths, wanted, "{found:#?}");
    assert_eq!(toolkit::advice(&Template::compile(NOTARIZATION).unwrap()), []);
}

#[test]
fn diagrams_show_every_state_and_move() {
    let template = Template::compile(NOTARIZATION).unwrap();
    let text = diagram::mermaid(&template);
    let wanted = "stateDiagram-v2\n    direction LR\n    state \"document\" as document {\n        \
                  state \"Deposited\" as document_Deposited\n        state \"Superseded\" as document_Superseded\n        \
                  state \"Withdrawn\" as document_Withdrawn\n        [*] --> document_Deposited : deposit\n        \
                  document_Deposited --> document_Superseded : supersede\n        \
                  document_Deposited --> document_Withdrawn : withdraw\n    }\n";
    assert_eq!(text, wanted);
    let picture = diagram::svg(&template);
    let mut reader = quick_xml::Reader::from_str(&picture);
    let mut shown = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Text(text) => shown.push(text.to_string()),
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    for word in [
        "document",
        "Deposited",
        "Superseded",
        "Withdrawn",
        "deposit",
        "supersede",
        "withdraw",
        "depositor",
    ] {
        assert!(shown.iter().any(|text| text == word), "no {word} in {shown:?}");
    }
    assert_eq!(picture, diagram::svg(&Template::compile(NOTARIZATION).unwrap()));
}
