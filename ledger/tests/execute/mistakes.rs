//! A template with each kind of mistake, and what a person is told about it.

use muniment_ledger::template::Template;

const GOOD: &str = r##"apiVersion: muniment.dev/v1alpha1
kind: RecordTemplate
metadata:
  name: note
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
  roles:
    author: { from: creator }
  regions:
    note: { initial: Open, states: [Open, Closed] }
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
          count: { $ref: "#/fields/count" }
          tags: { $ref: "#/fields/tags" }
      require:
        - rule: size(input.text) > 0
          code: EMPTY
          message: write something
      set: { text: input.text, count: input.count, tags: input.tags }
    close:
      by: [author]
      from: { note: [Open] }
      to: { note: Closed }
"##;

/// What is changed in the good template, where the mistake is, and what is said.
type Mistake = (&'static str, &'static str, (u64, u64), &'static str);

/// Line 33 is the rule; its text begins in column 17.
const MISTAKES: &[Mistake] = &[
    // The document.
    (
        "kind: RecordTemplate",
        "kind: Pod",
        (2, 7),
        "kind: must be `RecordTemplate`, not `Pod`",
    ),
    (
        "  name: note",
        "  name: No_te",
        (4, 9),
        "metadata.name: `No_te` is no template name: use up to 63 of a-z, 0-9 and `-`, no `-` at the ends",
    ),
    (
        "  revision: 1",
        "  revisoin: 1",
        (6, 3),
        "spec.revisoin: unknown key `revisoin`; did you mean `revision`? allowed here: revision",
    ),
    (
        "  revision: 1",
        "  revision: 1.5",
        (6, 13),
        "spec.revision: floats and integers beyond 64 bits are not allowed: use an integer in a small unit",
    ),
    (
        "  revision: 1",
        "  revision: one",
        (6, 13),
        "spec.revision: expected an integer, found a string",
    ),
    (
        "  identity: [creator, input.text]\n",
        "",
        (6, 3),
        "spec: the key `identity` is missing",
    ),
    (
        "  name: note",
        "  name: no",
        (4, 9),
        "metadata.name: expected a string, found a boolean: put it in quotes to make it one",
    ),
    // The fields.
    (
        "{ type: integer, minimum: 0 }",
        "{ type: number }",
        (13, 14),
        "spec.fields.properties.count: `type: number` would allow floats; use `type: integer` in a small unit, such as cents",
    ),
    (
        "{ type: string, maxLength: 100 }",
        "{ type: string }",
        (12, 13),
        "spec.fields.properties.text: a string needs `maxLength` (or `enum` or `const`): without it its size has no bound",
    ),
    (
        "maxItems: 20, ",
        "",
        (14, 13),
        "spec.fields.properties.tags: an array needs `maxItems`: without it its size has no bound",
    ),
    (
        "minimum: 0",
        "minimum: zero",
        (13, 40),
        "spec.fields.properties.count.minimum: expected an integer, found a string",
    ),
    // Roles and regions.
    (
        "{ from: creator }",
        "{ from: everyone }",
        (17, 21),
        "spec.roles.author.from: `everyone` can't be a role",
    ),
    (
        "initial: Open",
        "initial: Opened",
        (19, 22),
        "spec.regions.note.initial: unknown state `Opened`; the region has: Open, Closed",
    ),
    // Actions.
    (
        "by: [author]",
        "by: [autor]",
        (38, 12),
        "spec.actions.close.by[0]: unknown role `autor`; there are: author, anyMember",
    ),
    (
        "from: { note: [Open] }",
        "from: { notes: [Open] }",
        (39, 15),
        "spec.actions.close.from.notes: unknown region `notes`; there are: note",
    ),
    (
        "to: { note: Closed }",
        "to: { note: Shut }",
        (40, 19),
        "spec.actions.close.to.note: unknown state `Shut`; the region has: Open, Closed",
    ),
    (
        "set: { text: input.text,",
        "set: { text: input.txt,",
        (36, 20),
        "spec.actions.write.set.text: the input has no property `txt`",
    ),
    (
        "set: { text: input.text,",
        "set: { title: input.text,",
        (36, 14),
        "spec.actions.write.set.title: there is no field `title` in spec.fields",
    ),
    (
        "code: EMPTY",
        "code: empty",
        (34, 17),
        "spec.actions.write.require[0].code: `empty` is no code: use up to 64 of A-Z, 0-9 and `_`",
    ),
    // CEL: what it names, its types, what isn't deterministic, what costs too much.
    (
        "size(input.text) > 0",
        "size(input.txt) > 0",
        (33, 27),
        "spec.actions.write.require[0].rule: there is no field `txt`; did you mean `text`? (there are: count, tags, text)",
    ),
    (
        "size(input.text) > 0",
        "size(inptu.text) > 0",
        (33, 22),
        "spec.actions.write.require[0].rule: there is no variable `inptu`; did you mean `input`? (there are: id, input, tx, block)",
    ),
    (
        "size(input.text) > 0",
        "size(input.text)",
        (33, 17),
        "spec.actions.write.require[0].rule: a rule must be true or false, this one is an integer: compare it with something",
    ),
    (
        "size(input.text) > 0",
        "size(input.count) > 0",
        (33, 21),
        "spec.actions.write.require[0].rule: `size` is asked of an integer; only strings and lists have a size",
    ),
    (
        "size(input.text) > 0",
        "input.text + 1 == 'a1'",
        (33, 28),
        "spec.actions.write.require[0].rule: `+` adds integers or joins two strings or two lists, not a string and an integer",
    ),
    (
        "size(input.text) > 0",
        "size(input.text) > 'a'",
        (33, 34),
        "spec.actions.write.require[0].rule: `>` compares two integers or two strings, not an integer and a string",
    ),
    (
        "size(input.text) > 0",
        "input.text == 5",
        (33, 28),
        "spec.actions.write.require[0].rule: `==` compares a string with an integer: they are never equal",
    ),
    (
        "size(input.text) > 0",
        "size(input.text) > 0 && input.count",
        (33, 38),
        "spec.actions.write.require[0].rule: `&&` works on truth values, not on an integer",
    ),
    (
        "size(input.text) > 0",
        "input.count in input.tags",
        (33, 29),
        "spec.actions.write.require[0].rule: `in` looks for an integer in a list whose items are a string",
    ),
    (
        "size(input.text) > 0",
        "input.text.all(c, c != '')",
        (33, 31),
        "spec.actions.write.require[0].rule: all, exists, exists_one, map and filter work on lists of bounded length only, this is a string",
    ),
    (
        "size(input.text) > 0",
        "input.tags.all(.tag, .tag != '')",
        (33, 31),
        "spec.actions.write.require[0].rule: `.tag` can't name an item: leave out the dot",
    ),
    (
        "size(input.text) > 0",
        "1.5 > 1.0",
        (33, 17),
        "spec.actions.write.require[0].rule: floating-point numbers are not allowed: use an integer in a small unit",
    ),
    (
        "size(input.text) > 0",
        "now() > 0",
        (33, 20),
        "spec.actions.write.require[0].rule: the function `now` is not supported",
    ),
    (
        "size(input.text) > 0",
        "input.tags.all(tag)",
        (33, 31),
        "spec.actions.write.require[0].rule: `all` takes the name of an item and an expression about it, such as `input.names.all(name, name != '')`",
    ),
    (
        "size(input.text) > 0",
        "min([3]) > 0",
        (33, 20),
        "spec.actions.write.require[0].rule: `min` takes two integers, such as `min(input.amount, 100)`",
    ),
    (
        "size(input.text) > 0",
        "' '",
        (33, 17),
        "spec.actions.write.require[0].rule: there is no expression: write one, such as `input.amount > 0`",
    ),
    (
        "size(input.text) > 0",
        "size(input.text) >",
        (33, 34),
        "spec.actions.write.require[0].rule: this is not CEL",
    ),
    (
        "size(input.text) > 0",
        "input.tags.all(a, input.tags.all(b, input.tags.all(c, input.tags.all(d, a + b != c + d))))",
        (33, 31),
        "steps, allowed are 20000: nest fewer loops or lower `maxItems`",
    ),
];

#[test]
fn the_good_one_is_good() {
    Template::compile(GOOD).unwrap();
}

#[test]
fn each_mistake_is_told_where_it_is_and_how_to_mend_it() {
    let mut wrong = Vec::new();
    for (from, to, place, message) in MISTAKES {
        assert!(GOOD.contains(from), "{from}");
        let source = GOOD.replacen(from, to, 1);
        let found = Template::check(&source).expect_err(to);
        let found: Vec<_> = found
            .iter()
            .map(|error| (error.line, error.column, error.to_string()))
            .collect();
        let told = found
            .iter()
            .any(|(line, column, text)| (line.unwrap_or(0), column.unwrap_or(0)) == *place && text.contains(message));
        if !told {
            wrong.push(format!("{to}\n  wanted {place:?} {message}\n  found  {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_are_told_at_once_and_none_twice() {
    let source = GOOD
        .replace("size(input.text) > 0", "size(input.txt) > 0")
        .replace("count: input.count", "count: input.text")
        .replace("by: [author]", "by: [reader, writer]")
        .replace("to: { note: Closed }", "to: { note: Shut }");
    let found = Template::check(&source).unwrap_err();
    let paths: Vec<_> = found.iter().map(|error| error.path.as_str()).collect();
    let wanted = [
        "spec.actions.write.require[0].rule",
        "spec.actions.write.set.count",
        "spec.actions.close.by[0]",
        "spec.actions.close.by[1]",
        "spec.actions.close.to.note",
    ];
    assert_eq!(paths, wanted, "{found:#?}");
    assert_eq!(Template::compile(&source).unwrap_err(), found[0]);
}

#[test]
fn what_hangs_on_a_mistake_is_not_told_as_another_one() {
    // The role that is wrong is used below.
    let source = GOOD.replace("from: creator", "from: everyone");
    let found = Template::check(&source).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    // So is the input.
    let source = GOOD.replace("text: { $ref: \"#/fields/text\" }", "text: { $ref: \"#/fields/txt\" }");
    let found = Template::check(&source).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn columns_are_right_in_every_way_to_write_a_string() {
    let broken = [
        ("rule: size(input.txt) > 0", (33, 27)),
        ("rule: 'size(input.txt) > 0'", (33, 28)),
        ("rule: \"size(input.txt) > 0\"", (33, 28)),
        ("rule: \"\\\"ä\\\" != '' && size(input.txt) > 0\"", (33, 43)),
        (
            "rule: >-\n            true\n            && size(input.txt) > 0",
            (35, 26),
        ),
        (
            "rule: |\n            true &&\n            size(input.txt) > 0",
            (35, 23),
        ),
    ];
    for (rule, place) in broken {
        let source = GOOD.replace("rule: size(input.text) > 0", rule);
        let found = Template::compile(&source).unwrap_err();
        assert_eq!(
            (found.line, found.column),
            (Some(place.0), Some(place.1)),
            "{rule}: {found}"
        );
    }
}

/// A long text takes as many steps as there are bytes to look at.
#[test]
fn text_counts_as_much_as_there_is_of_it() {
    let looped = "input.tags.all(tag, input.tags.all(other, tag == other || input.text != other))";
    let short = GOOD.replace("size(input.text) > 0", looped);
    assert!(Template::compile(&short).is_ok());
    let long = short.replace("maxLength: 100", "maxLength: 4000");
    let error = Template::compile(&long).unwrap_err().to_string();
    assert!(error.contains("steps, allowed are 20000"), "{error}");
}

/// Objects of objects double with each variable: what is known of them may not.
#[test]
fn a_short_template_takes_no_endless_time() {
    let mut variables = "v0: \"{'a': input.text}\"".to_owned();
    for n in 1..40 {
        let before = n - 1;
        variables += &format!("\n        v{n}: \"{{'a': variables.v{before}, 'b': variables.v{before}}}\"");
    }
    let source = GOOD.replace(
        "      require:\n",
        &format!("      variables:\n        {variables}\n      require:\n"),
    );
    let error = Template::compile(&source).unwrap_err();
    assert_eq!(error.path, "spec.actions.write.variables.v9", "{error}");
    assert!(
        error.message.contains("allowed are 1024: put fewer objects into one"),
        "{error}"
    );
}
