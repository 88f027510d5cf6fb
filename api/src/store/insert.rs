//! Inserting many rows at once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, ModelTrait, Statement, Value,
};

/// Most texts that are kept: few tables, and most statements have as many rows as one may have.
const TEXTS: usize = 32;

/// What makes the text of a statement another one: database, table, rows, and what is done about those that are there.
type Kind = (&'static str, String, usize, String);

static KNOWN: LazyLock<Mutex<HashMap<Kind, Arc<str>>>> = LazyLock::new(Mutex::default);

/// Inserts whole rows in one statement; answers how many. `insert_many` looks in each row for columns that none of them has
/// set, and copies each value, which costs as much as the statement.
pub async fn add<M>(
    on: &DatabaseTransaction,
    rows: impl Iterator<Item = M>,
    conflict: &OnConflict,
) -> Result<u64, DbErr>
where
    M: ModelTrait + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
{
    let mut values: Vec<Value> = Vec::new();
    let mut count = 0;
    for row in rows {
        count += 1;
        let mut row = row.into_active_model();
        for column in <M::Entity as EntityTrait>::Column::iter() {
            let value = row.take(column).into_value();
            values.push(value.ok_or_else(|| DbErr::AttrNotSet(column.as_str().to_owned()))?);
        }
    }
    let backend = on.get_database_backend();
    let text = text::<M::Entity>(backend, count, conflict)?;
    let statement = Statement::from_sql_and_values(backend, &*text, values);
    Ok(on.execute_raw(statement).await?.rows_affected())
}

/// The statement for so many rows, without their values.
fn text<E: EntityTrait>(backend: DbBackend, rows: usize, conflict: &OnConflict) -> Result<Arc<str>, DbErr> {
    let database = match backend {
        DbBackend::Postgres => "postgres",
        _ => "sqlite",
    };
    let kind = (
        database,
        E::default().table_name().to_owned(),
        rows,
        format!("{conflict:?}"),
    );
    if let Some(text) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&kind) {
        return Ok(text.clone());
    }
    let mut insert = Query::insert();
    insert.into_table(E::default().table_ref()).columns(E::Column::iter());
    for _ in 0..rows {
        let row = E::Column::iter().map(|column| column.save_as(Expr::value(0)));
        insert.values(row).map_err(|error| DbErr::Custom(error.to_string()))?;
    }
    insert.on_conflict(conflict.clone());
    let built = backend.build(&insert);
    let columns = E::Column::iter().count();
    if built.values.map_or(0, |values| values.0.len()) != rows * columns {
        return Err(DbErr::Custom(
            "what is done about rows that are there must have no values".to_owned(),
        ));
    }
    let text: Arc<str> = built.sql.into();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= TEXTS {
        let one = known.keys().next().cloned();
        one.and_then(|one| known.remove(&one));
    }
    known.insert(kind, text.clone());
    Ok(text)
}
