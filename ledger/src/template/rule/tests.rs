//! Our evaluator beside the one of the crate `cel`: the same value, or the same fault, for any expression and any input.

use std::cmp::{max, min};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::types::{
    CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, Program, Value as Cel};
use muniment_receipts::encoding::hex;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::node::Node;
use super::values::{Data, Fault, Values};
use super::{Expression, Uses};
use crate::template::check::Shape;

/// The environment of the peer: CEL's own functions and ours.
static PEER: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.add_overload("sum", "sum_list", vec![LIST_TYPE], sum).unwrap();
    env.add_overload("sha256", "sha256_string", vec![STRING_TYPE], sha256)
        .unwrap();
    let two = || vec![INT_TYPE, INT_TYPE];
    env.add_overload("min", "min_int", two(), |args| pick(&args, min))
        .unwrap();
    env.add_overload("max", "max_int", two(), |args| pick(&args, max))
        .unwrap();
    Arc::new(env)
});

fn int(value: Option<&dyn Val>) -> Result<i64, ExecutionError> {
    let int = value.and_then(|value| value.downcast_ref::<CelInt>());
    int.map(|int| *int.inner())
        .ok_or_else(|| ExecutionError::InternalError("not an integer".to_owned()))
}

fn pick<'b, 'v>(args: &[CowVal<'b, 'v>], pick: fn(i64, i64) -> i64) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let argument = |index: usize| int(args.get(index).map(AsRef::as_ref));
    Ok(CowVal::owned(CelInt::from(pick(argument(0)?, argument(1)?))))
}

fn sum<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let list = args[0].as_ref().as_iterable().unwrap();
    let (mut items, mut total) = (list.iter(), 0i64);
    while let Some(item) = items.next() {
        let item = int(Some(item))?;
        let more = total.checked_add(item);
        total = more.ok_or_else(|| ExecutionError::Overflow("sum", total.into(), item.into()))?;
    }
    Ok(CowVal::owned(CelInt::from(total)))
}

fn sha256<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = args[0].as_ref().downcast_ref::<CelString>().unwrap();
    Ok(CowVal::owned(CelString::from(
        hex(&Sha256::digest(text.inner()).into()),
    )))
}

fn given(value: &Value) -> Box<dyn Val + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => Box::new(CelInt::from(number.as_i64().unwrap())),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(given).collect::<Vec<_>>())),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| (name.as_str().into(), given(value)));
            Box::new(CelMap::from(members.collect::<HashMap<CelMapKey<'_>, _>>()))
        }
    }
}

fn to_json(value: &dyn Val) -> Value {
    if let Some(value) = value.downcast_ref::<CelInt>() {
        Value::from(*value.inner())
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        Value::from(text.inner())
    } else if let Some(value) = value.downcast_ref::<CelBool>() {
        Value::from(*value.inner())
    } else if let Some(items) = value.downcast_ref::<CelList<'_>>() {
        items.inner().iter().map(|item| to_json(item.as_ref())).collect()
    } else if let Some(members) = value.downcast_ref::<CelMap<'_>>() {
        let members = members.inner().iter().map(|(name, value)| match name {
            CelMapKey::String(name) => (name.inner().to_owned(), to_json(value.as_ref())),
            other => panic!("a member named {other:?}"),
        });
        Value::Object(members.collect())
    } else {
        assert!(value.downcast_ref::<CelNull>().is_some(), "{value:?}");
        Value::Null
    }
}

fn peer(program: &Program, input: &Value) -> Result<Value, Fault> {
    let mut context = Context::with_env(PEER.clone());
    context.add_variable_as_val("input", given(input));
    let value = Cel::resolve_val(program.expression(), &context);
    value.map(|value| to_json(value.as_ref())).map_err(|error| match error {
        ExecutionError::Overflow(..) => Fault::Overflow,
        _ => Fault::Undefined,
    })
}

/// As objects and lists are that the executor or an expression makes.
fn made(value: &Value) -> Data<'_> {
    match value {
        Value::Array(items) => Data::list(items.iter().map(made)),
        Value::Object(members) => Data::object(members.iter().map(|(name, value)| (name.as_str(), made(value)))),
        other => other.into(),
    }
}

fn ours(program: &Program, input: Data<'_>) -> Result<Value, Fault> {
    let expression = Expression {
        node: Node::of(&program.expression().expr).expect("can be evaluated"),
        uses: Uses::default(),
        shape: Shape::Any,
        cost: 0,
    };
    let mut values = Values::default();
    values.set("input", input);
    values.value(&expression)
}

fn same(source: &str, input: &Value) -> Result<Value, Fault> {
    let program = PEER.compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let peer = peer(&program, input);
    assert_eq!(ours(&program, input.into()), peer, "{source} of {input}");
    assert_eq!(ours(&program, made(input)), peer, "{source} of {input}, made");
    peer
}

/// Any value that is no list and no object.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![-3i64..4, Just(i64::MAX), Just(i64::MIN)].prop_map(Value::from),
        prop_oneof!["[ab]{0,2}", Just("é\u{10000}".to_owned())].prop_map(Value::from),
    ]
}

/// Any value that an input can have.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        let members = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// An input whose members are of the kinds that their names say, but for `o`.
fn input() -> impl Strategy<Value = Value> {
    let plain = prop::collection::btree_map("[ijtuyn]", scalar(), 0..3);
    let lists = prop::collection::btree_map("[ler]", prop::collection::vec(value(), 0..3), 0..2);
    (plain, lists, prop::option::of(value())).prop_map(|(plain, lists, object)| {
        let mut input = json!({
            "i": 3, "j": -7, "t": "ab", "u": "b", "y": true, "n": null, "big": i64::MAX, "l": [1, 2, 3], "e": [],
            "r": [{ "a": 1, "b": "x" }, { "a": 2 }, { "a": 3, "c": [4] }], "o": { "a": 1, "b": "x" },
        });
        plain.into_iter().for_each(|(name, value)| input[name] = value);
        lists.into_iter().for_each(|(name, value)| input[name] = value.into());
        object.into_iter().for_each(|value| input["o"] = value);
        input
    })
}

/// What is known of a source. The peer walks over the names of an object, in no order: `check` lets nobody ask for it,
/// nor do we here, but in `list + object`, which has no value with us.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Any,
    Plain,
    List,
}

type Source = (Kind, String);

/// Fills the places of a form with parts.
fn fill(form: &str, parts: &[&str]) -> String {
    let (mut parts, mut rest, mut source) = (parts.iter(), form, String::new());
    while let Some((before, after)) = rest.split_once('@') {
        source += before;
        source += &format!("({})", parts.next().unwrap());
        rest = after;
    }
    source + rest
}

fn list((kind, source): Source) -> String {
    match kind {
        Kind::List => source,
        _ => format!("[{source}]"),
    }
}

fn plus(a: Source, b: Source) -> Source {
    match a.0 {
        Kind::List => (Kind::List, format!("({}) + ({})", a.1, list(b))),
        Kind::Plain => (Kind::Plain, format!("({}) + ({})", a.1, b.1)),
        Kind::Any => (Kind::Plain, format!("string({}) + ({})", a.1, b.1)),
    }
}

fn plain() -> impl Strategy<Value = Source> {
    let any = [
        "null",
        "{}",
        "{'a': 1, 'b': 'x'}",
        "input",
        "input.o",
        "input.o.a",
        "input.o.b",
        "input.o.c",
        "input.nothing",
        "input.l[1]",
        "input.r[0].a",
        "input.r[1].b",
        "input.o['a']",
        "record.a",
    ];
    let plain = [
        "0",
        "1",
        "-2",
        "9223372036854775807",
        "'a'",
        "'ab'",
        "''",
        "true",
        "false",
        "input.i",
        "input.j",
        "input.t",
        "input.u",
        "input.y",
        "input.n",
        "input.big",
    ];
    let lists = [
        "[]",
        "[1, 2]",
        "['a', 'b']",
        "[{'a': 1}, {'a': 2, 'b': 'x'}]",
        "input.l",
        "input.e",
        "input.r",
    ];
    let of = |kind: Kind, sources: &[&str]| {
        let sources: Vec<Source> = sources.iter().map(|source| (kind, (*source).to_owned())).collect();
        prop::sample::select(sources)
    };
    prop_oneof![of(Kind::Any, &any), of(Kind::Plain, &plain), of(Kind::List, &lists)]
}

const OPERATORS: [&str; 13] = ["-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"];
const ONE: [&str; 14] = [
    "-@",
    "!@",
    "@.a",
    "has(@.a)",
    "size@",
    "@.size()",
    "string@",
    "sum@",
    "sha256@",
    "@[0]",
    "@['a']",
    "{'a': @}",
    "@.string()",
    "contains(@, 'a')",
];
const TWO: [&str; 10] = [
    "min(@, @)",
    "max(@, @)",
    "@.startsWith@",
    "@.endsWith@",
    "@.contains@",
    "@[@]",
    "{'a': @, 'b': @}",
    "startsWith(@, @)",
    "@.min@",
    "@ in [@, 1]",
];
/// The first part is a list.
const TRUTHS: [&str; 8] = [
    "@.all(x, @)",
    "@.exists(x, @)",
    "@.existsOne(x, @)",
    "@.all(x, x > 0 && @)",
    "@.exists(x, x.a == 2 || @)",
    "@.all(x, 1 / x == 1 || @)",
    "@.exists(x, x + 9223372036854775806 > 0 && @)",
    "@.exists_one(x, x == @)",
];
const LISTS: [&str; 10] = [
    "@.map(x, @)",
    "@.filter(x, @)",
    "@.map(x, x == 1, @)",
    "@.map(x, [x, @])",
    "@.filter(x, has(x.b) && @)",
    "@.map(input, input == @)",
    "@.map(x, [@].map(y, [x, y]))",
    "@.map(x, {'a': x, 'b': @})",
    "@.filter(x, x != @)",
    "@.map(x, [x].filter(x, x == @))",
];

/// Sources that are mostly, but not always, of a kind that CEL wants where they stand.
fn source() -> impl Strategy<Value = Source> {
    plain().prop_recursive(4, 24, 3, |inner| {
        let form = |forms: &'static [&'static str]| prop::sample::select(forms);
        let (a, b, c) = (inner.clone(), inner.clone(), inner);
        prop_oneof![
            (a.clone(), form(&OPERATORS), b.clone())
                .prop_map(|(a, sign, b)| (Kind::Plain, format!("({}) {sign} ({})", a.1, b.1))),
            (a.clone(), b.clone()).prop_map(|(a, b)| plus(a, b)),
            (form(&ONE), a.clone()).prop_map(|(form, a)| (Kind::Any, fill(form, &[&a.1]))),
            (form(&TWO), a.clone(), b.clone()).prop_map(|(form, a, b)| (Kind::Any, fill(form, &[&a.1, &b.1]))),
            (form(&TRUTHS), a.clone(), b.clone()).prop_map(|(form, a, b)| (Kind::Plain, fill(form, &[&list(a), &b.1]))),
            (form(&LISTS), a.clone(), b.clone()).prop_map(|(form, a, b)| (Kind::List, fill(form, &[&list(a), &b.1]))),
            (a.clone(), b.clone(), c).prop_map(|(a, b, c)| (Kind::Any, format!("({}) ? ({}) : ({})", a.1, b.1, c.1))),
            (a, b).prop_map(|(a, b)| (Kind::List, format!("[{}, {}]", a.1, b.1))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_is_what_the_peer_makes_of_it(source in source(), input in input()) {
        same(&source.1, &input).ok();
    }
}

/// Names of an object have no order in CEL: two validators could come to two lists.
#[test]
fn an_object_is_not_joined_to_a_list() {
    let input = json!({ "o": { "a": 1, "b": 2 } });
    let program = PEER.compile("[1] + input.o").unwrap();
    assert_eq!(ours(&program, (&input).into()), Err(Fault::Undefined));
}

/// Each is short, and `check` can't tell how large its value is.
#[test]
fn what_would_grow_without_end_overflows() {
    let grow = |seed: &str, step: &str, times: usize| format!("{seed}{}[0]", format!(".map(a, {step})").repeat(times));
    let twin = |times: usize| format!("[1]{}", ".map(a, [a, a, a, a])".repeat(times));
    for source in [
        grow("['xxxxxxxx']", "a + a + a + a", 17),
        format!("true ? {} : 1", twin(15)),
        format!("[{0}].all(e, e == e)", twin(15)),
        format!("{0} in [{0}]", twin(15)),
    ] {
        let program = PEER.compile(&source).unwrap();
        assert_eq!(ours(&program, Data::Null), Err(Fault::Overflow), "{source}");
    }
    let fine = format!("size({})", twin(15));
    assert_eq!(ours(&PEER.compile(&fine).unwrap(), Data::Null), Ok(json!(1)));
}
