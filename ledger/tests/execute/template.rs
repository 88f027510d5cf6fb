//! What the template compiler refuses, and where it says so.

use muniment_ledger::template::Template;
use muniment_ledger::templates::NOTARIZATION;

const GOOD: &str = r##"apiVersion: muniment.dev/v1alpha1
kind: RecordTemplate
metadata: { name: note }
spec:
  revision: 1
  fields:
    type: object
    additionalProperties: false
    required: [text]
    properties:
      text: { type: string, maxLength: 100 }
      count: { type: integer, minimum: 0 }
      tags: { type: array, maxItems: 20, items: { type: string, maxLength: 10 } }
  identity: [creator, input.text]
  roles: { author: { from: creator } }
  regions: { note: { initial: Open, states: [Open, Closed] } }
  actions:
    write:
      creates: true
      by: [anyMember]
      input:
        type: object
        additionalProperties: false
        required: [text]
        properties:
          text: { $ref: "#/fields/text" }
          tags: { $ref: "#/fields/tags" }
      require:
        - { rule: "size(input.text) > 0", code: EMPTY, message: write something }
      set: { text: input.text, tags: input.tags }
    close:
      by: [author]
      from: { note: [Open] }
      to: { note: Closed }
"##;

fn error(from: &str, to: &str) -> (String, Option<u64>, String) {
    assert!(GOOD.contains(from), "{from}");
    let error = Template::compile(&GOOD.replacen(from, to, 1)).expect_err(to);
    (error.path, error.line, error.message)
}

fn refused(from: &str, to: &str, path: &str, message: &str) {
    let (found, line, text) = error(from, to);
    assert_eq!(found, path, "{text}");
    assert!(text.contains(message), "{text}");
    assert!(line.is_some(), "no line for {path}: {text}");
}

fn rule(rule: &str, message: &str) {
    refused(
        "size(input.text) > 0",
        rule,
        "spec.actions.write.require[0].rule",
        message,
    );
}

#[test]
fn good_templates_compile() {
    let template = Template::compile(GOOD).unwrap();
    assert_eq!((template.name.as_str(), template.revision), ("note", 1));
    assert!(template.action("write").unwrap().creates);
    assert!(template.action("nothing").is_none());
    let template = Template::compile(NOTARIZATION).unwrap();
    let names: Vec<_> = template.actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names, ["deposit", "supersede", "withdraw"]);
}

#[test]
fn a_line_is_named() {
    let (path, line, text) = error("  identity: [", "  colour: red\n  identity: [");
    assert_eq!((path.as_str(), line), ("spec.colour", Some(14)), "{text}");
    assert!(text.contains("unknown key `colour`"));
    let broken = Template::compile("a: [1").unwrap_err();
    assert!(broken.line.is_some() && broken.path.is_empty(), "{broken}");
}

#[test]
fn structure_is_checked() {
    refused("kind: RecordTemplate", "kind: Pod", "kind", "RecordTemplate");
    refused("name: note", "name: No_te", "metadata.name", "a-z");
    refused("revision: 1", "revision: 0", "spec.revision", "from 1");
    refused("revision: 1", "revision: 1.5", "spec.revision", "floats");
    refused(
        "  identity:",
        "  deadlines: { late: { to: { note: Closed } } }\n  identity:",
        "spec.deadlines.late",
        "the key `after` is missing",
    );
    refused(
        "  identity:",
        "  validators: [fortran]\n  identity:",
        "spec.validators[0]",
        "there is no native check",
    );
    refused("input.text]", "input.tags]", "spec.identity[1]", "required");
    refused("input.text]", "input.nope]", "spec.identity[1]", "no property");
    refused(
        "from: creator",
        "from: everyone",
        "spec.roles.author.from",
        "can't be a role",
    );
    refused(
        "initial: Open",
        "initial: New",
        "spec.regions.note.initial",
        "unknown state",
    );
    refused(
        "by: [author]",
        "by: [reader]",
        "spec.actions.close.by[0]",
        "unknown role",
    );
    refused(
        "by: [anyMember]",
        "by: [author]",
        "spec.actions.write.by[0]",
        "before the record exists",
    );
    refused("by: [anyMember]", "by: []", "spec.actions.write.by", "nobody");
    refused(
        "from: { note: [Open] }",
        "from: { page: [Open] }",
        "spec.actions.close.from.page",
        "unknown region",
    );
    refused(
        "to: { note: Closed }",
        "to: { note: Gone }",
        "spec.actions.close.to.note",
        "unknown state",
    );
    refused(
        "set: { text: input.text,",
        "set: { count: input.text,",
        "spec.actions.write.set.count",
        "different values",
    );
    refused(
        "set: { text: input.text,",
        "set: { title: input.text,",
        "spec.actions.write.set.title",
        "no field",
    );
    refused(
        "set: { text: input.text,",
        "set: {",
        "spec.actions.write",
        "`text` is required",
    );
    refused("creates: true", "creates: false", "spec", "never be a record");
    assert!(
        Template::compile(&format!("{GOOD}\n#{}", "x".repeat(70_000)))
            .unwrap_err()
            .message
            .contains("bytes")
    );
}

#[test]
fn schemas_are_bounded() {
    let text = "{ type: string, maxLength: 100 }";
    let path = "spec.fields.properties.text";
    refused(text, "{ type: string }", path, "maxLength");
    refused(text, "{ type: number }", path, "floats");
    refused(
        text,
        "{ type: string, maxLength: 100, format: email }",
        &format!("{path}.format"),
        "unknown key `format`",
    );
    refused(
        text,
        "{ type: string, maxLength: 1.5 }",
        &format!("{path}.maxLength"),
        "floats",
    );
    refused(
        text,
        "{ type: string, maxLength: 5000 }",
        &format!("{path}.maxLength"),
        "4096",
    );
    refused(
        text,
        "{ type: string, maxLength: 9, pattern: \"\\\\d\" }",
        &format!("{path}.pattern"),
        "[0-9]",
    );
    refused(
        text,
        "{ type: string, maxLength: 9, pattern: \"(a\" }",
        &format!("{path}.pattern"),
        "can't be used",
    );
    refused(text, "{ type: object, properties: {} }", path, "additionalProperties");
    refused(text, "{ type: array, items: { type: boolean } }", path, "maxItems");
    refused(
        text,
        "{ type: array, maxItems: 100, uniqueItems: true, items: { type: boolean } }",
        &format!("{path}.maxItems"),
        "64",
    );
    refused(text, "{ anyOf: [] }", path, "`type` is missing");
    refused(
        text,
        "{ $ref: \"#/fields/text\" }",
        &format!("{path}.$ref"),
        "names no field",
    );
    refused(
        "minimum: 0",
        "minimum: 0.5",
        "spec.fields.properties.count.minimum",
        "floats",
    );
    refused(
        "minimum: 0",
        "maximum: 9007199254740992",
        "spec.fields.properties.count.maximum",
        "2^53",
    );
    let deep = (0..10).fold("{ type: boolean }".to_owned(), |inner, _| {
        format!("{{ type: array, maxItems: 2, items: {inner} }}")
    });
    let (_, _, message) = error(text, &deep);
    assert!(message.contains("nested"), "{message}");
}

#[test]
fn rules_are_deterministic_and_bounded() {
    rule("size(input.txt) > 0", "no field `txt`");
    rule("size(inputs.text) > 0", "there is no variable `inputs`");
    rule("record.version > 0", "there is no variable `record`");
    rule("1.5 > 1.0", "floating-point");
    rule("double(1) > 0", "`double` is not supported");
    rule("1u > 0u", "unsigned");
    rule("input.all(k, k != '')", "lists of bounded length");
    rule("{'a': 1}.all(k, k != '')", "lists of bounded length");
    rule("{input.text: 1}.size() > 0", "literal strings");
    rule("sum(['a']) > 0", "adds up a list of integers");
    rule("input.text.matches('a')", "`matches` is not supported");
    rule("now() > 0", "`now` is not supported");
    rule("size(input.text)", "true or false");
    rule("size(input.text", "not CEL");
    rule(&format!("{}true{}", "(".repeat(20), ")".repeat(20)), "brackets");
    rule(&format!("{} > 0", vec!["1"; 600].join("+")), "at most 1024 bytes");
    // The parser recurses once per operator: these must be refused before it runs, whatever the operator.
    rule(
        &format!("{} > 0", vec!["1"; 500].join("+")),
        "at most 256 words and signs",
    );
    rule(&format!("{}true", "!".repeat(900)), "at most 256 words and signs");
    rule(
        &format!("{} > 0", vec!["1"; 200].join("?1:")),
        "at most 256 words and signs",
    );
    let nested = "input.tags.all(a, input.tags.all(b, input.tags.all(c, input.tags.all(d, a == b && c == d))))";
    rule(nested, "steps");
    for good in [
        "input.tags.all(a, size(a) > 1 && a != input.text)",
        "!has(input.tags) || input.tags.exists(t, t.startsWith('a'))",
        "tx.validUntil > block.time && block.height % 2 == 0",
        "input.text in ['a', 'b'] || input.text.contains('x')",
    ] {
        Template::compile(&GOOD.replacen("size(input.text) > 0", good, 1)).unwrap();
    }
}
