//! The functions that expressions have beside CEL's own: `sum`, `min` and `max` of integers, checked like its arithmetic,
//! and `sha256` of a string's UTF-8 bytes as lower-case hex.

use std::cmp::{max, min};

use cel::common::types::{CelInt, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};
use sha2::{Digest, Sha256};

/// The environment of all expressions. The names and signatures are fixed and differ, so nothing is declared twice.
pub fn environment() -> Env {
    let mut env = Env::stdlib();
    for declared in [
        env.add_overload("sum", "sum_list", vec![LIST_TYPE], sum),
        env.add_overload("sha256", "sha256_string", vec![STRING_TYPE], sha256),
        env.add_overload("min", "min_int", vec![INT_TYPE, INT_TYPE], |args| pick(&args, min)),
        env.add_overload("max", "max_int", vec![INT_TYPE, INT_TYPE], |args| pick(&args, max)),
    ] {
        debug_assert!(declared.is_ok(), "{declared:?}");
    }
    env
}

fn int(value: Option<&dyn cel::common::value::Val>) -> Result<i64, ExecutionError> {
    let int = value.and_then(|value| value.downcast_ref::<CelInt>());
    int.map(|int| *int.inner())
        .ok_or_else(|| ExecutionError::InternalError("not an integer".to_owned()))
}

fn pick<'b, 'v>(args: &[CowVal<'b, 'v>], pick: fn(i64, i64) -> i64) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let argument = |index: usize| int(args.get(index).map(AsRef::as_ref));
    Ok(CowVal::owned(CelInt::from(pick(argument(0)?, argument(1)?))))
}

fn sum<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let list = args.first().and_then(|list| list.as_ref().as_iterable());
    let Some(list) = list else {
        return Err(ExecutionError::InternalError("not a list".to_owned()));
    };
    let (mut items, mut total) = (list.iter(), 0i64);
    while let Some(item) = items.next() {
        let item = int(Some(item))?;
        total = total
            .checked_add(item)
            .ok_or_else(|| ExecutionError::Overflow("sum", total.into(), item.into()))?;
    }
    Ok(CowVal::owned(CelInt::from(total)))
}

fn sha256<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = args.first().and_then(|text| text.as_ref().downcast_ref::<CelString>());
    let text = text.ok_or_else(|| ExecutionError::InternalError("not a string".to_owned()))?;
    Ok(CowVal::owned(CelString::from(hex::encode(Sha256::digest(
        text.inner(),
    )))))
}
